"""Counting, on one device, the images of a shard that masked networks get right."""

from functools import partial
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


class MaskedCounter:
    """A network on the default device, and a compiled program that counts a batch under a mask.

    The images stay ``uint8`` on the device and are normalised there; only masks go in and counts come out.
    """

    def __init__(self, network: Network, normalisation: Normalisation, layout: Layout):
        self.layout = layout
        graph, self._state = nnx.split(network)
        self._count_batch = jax.jit(partial(_count_batch, graph, normalisation))
        self._predict_batch = jax.jit(partial(_predict_batch, graph, normalisation))

    def place(self, shard: Batches) -> list[tuple[jax.Array, jax.Array]]:
        """The batches of a shard as arrays on the device."""
        return [
            (jnp.asarray(images), jnp.asarray(labels))
            for images, labels in zip(shard.images, shard.labels, strict=True)
        ]

    def count(self, placed: list[tuple[jax.Array, jax.Array]], masks: np.ndarray) -> np.ndarray:
        """``bool[n, f]`` -> ``int64[2, n]``: correct images, and images with a logit that is not finite."""
        counts = np.zeros((2, len(masks)), np.int64)
        for row, mask in enumerate(masks):
            keeps = self._keeps(mask)
            parts = [self._count_batch(self._state, images, labels, keeps) for images, labels in placed]
            counts[:, row] = np.sum([np.asarray(part) for part in parts], axis=0)
        return counts

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
