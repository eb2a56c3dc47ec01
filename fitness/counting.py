"""Counting, on one device, the images of a shard that masked networks get right."""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine.layout import Layout
from fitness.batches import Batches
from models.normalisation import Normalisation
from models.stages import Network


def streams() -> int:
    """Batches to keep in flight at once.

    XLA's CPU convolutions leave cores idle (one of 64 channels runs on one core whatever the batch), so on
    CPU each core gets a batch of its own: 1.2 times the images/s of one batch at a time on 2 cores, for a
    full-size VGG-16. The results are the same to the bit. A GPU is filled by one batch.
    """
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class MaskedCounter:
    """A network on the default device, and a compiled program that counts a batch under a mask.

    The images stay ``uint8`` on the device and are normalised there; only masks go in and counts come out.
    """

    def __init__(self, network: Network, normalisation: Normalisation, layout: Layout):
        self.layout = layout
        graph, self._state = nnx.split(network)
        self._count_batch = jax.jit(partial(_count_batch, graph, normalisation))
        self._predict_batch = jax.jit(partial(_predict_batch, graph, normalisation))
        self._streams = streams()
        self._threads = ThreadPoolExecutor(self._streams, "evoprune-count")

    def place(self, shard: Batches) -> list[tuple[jax.Array, jax.Array]]:
        """The batches of a shard as arrays on the device."""
        return [
            (jnp.asarray(images), jnp.asarray(labels))
            for images, labels in zip(shard.images, shard.labels, strict=True)
        ]

    def count(self, placed: list[tuple[jax.Array, jax.Array]], masks: np.ndarray) -> np.ndarray:
        """``bool[n, f]`` -> ``int64[2, n]``: correct images, and images with a logit that is not finite."""
        keeps = [self._keeps(mask) for mask in masks]
        tickets = itertools.count()

        def stream() -> np.ndarray:
            """Take one (mask, batch) after the other until none is left; partial sums."""
            counts = np.zeros((2, len(masks)), np.int64)
            while not cancelled.is_set() and (ticket := next(tickets)) < len(masks) * len(placed):
                row, batch = divmod(ticket, len(placed))
                images, labels = placed[batch]
                counts[:, row] += np.asarray(self._count_batch(self._state, images, labels, keeps[row]))
            return counts

        cancelled = Event()
        try:
            partial = [self._threads.submit(stream) for _ in range(self._streams)]
            return np.sum([future.result() for future in partial], axis=0)
        finally:
            # After Ctrl-C in this thread the others must not work on.
            cancelled.set()

    def predict(self, placed: list[tuple[jax.Array, jax.Array]], mask: np.ndarray) -> np.ndarray:
        """Predicted classes ``int32[k * b]`` under one mask; rows of padding included."""
        keeps = self._keeps(mask)
        return np.concatenate(
            [np.asarray(self._predict_batch(self._state, images, keeps)) for images, _ in placed]
        )

    def compile(self, shard: Batches) -> float:
        """Compile for the batches of this shard; seconds that took."""
        started = perf_counter()
        images, labels = shard.images[0], shard.labels[0]
        keeps = self._keeps(self.layout.full())
        jax.block_until_ready(self._count_batch(self._state, jnp.asarray(images), jnp.asarray(labels), keeps))
        return perf_counter() - started

    def _keeps(self, mask: np.ndarray) -> dict[str, np.ndarray]:
        return self.layout.split(mask)


def _logits(
    graph: Any, normalisation: Normalisation, state: Any, images: jax.Array, keeps: dict[str, jax.Array]
) -> jax.Array:
    return nnx.merge(graph, state)(normalisation(images), keeps)


def _count_batch(
    graph: Any,
    normalisation: Normalisation,
    state: Any,
    images: jax.Array,
    labels: jax.Array,
    keeps: dict[str, jax.Array],
) -> jax.Array:
    """``int32[2]``: correct images of the batch, images with NaN or infinity among their logits."""
    logits = _logits(graph, normalisation, state, images, keeps)
    real = labels >= 0
    finite = jnp.isfinite(logits).all(axis=-1)
    correct = real & finite & (jnp.argmax(logits, axis=-1) == labels)
    return jnp.stack([jnp.sum(correct, dtype=jnp.int32), jnp.sum(real & ~finite, dtype=jnp.int32)])


def _predict_batch(
    graph: Any, normalisation: Normalisation, state: Any, images: jax.Array, keeps: dict[str, jax.Array]
) -> jax.Array:
    """Predicted classes ``int32[b]``."""
    return jnp.argmax(_logits(graph, normalisation, state, images, keeps), axis=-1).astype(jnp.int32)
