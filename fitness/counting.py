"""Counting, on one device, the images of a shard that masked networks get right.

The plan of :mod:`fitness.prefix_tree` is walked depth-first, a few batches at a time. Held at any time: for
each stage at most one carry of these batches, and the weights of a few runs; beside them once the network's
weights in the form that computes fastest. That does not grow with the number of masks.
"""

from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine.layout import Layout
from fitness.batches import Batches
from fitness.compaction import Compaction
from fitness.prefix_tree import Node, plan
from fitness.stage_programs import StagePrograms
from models.normalisation import Normalisation
from models.stages import DType, Network

CPU_BATCHES_AT_ONCE = 8
"""Batches that share the work of cutting and transforming the weights of a run; some 500 images."""

Placed = list[tuple[jax.Array, jax.Array]]
"""Batches on the device: ``uint8[b, height, width, channels]`` and ``int32[b]`` each."""


class MaskedCounter:
    """A network on the default device that counts batches under many masks.

    The images stay ``uint8`` on the device and are normalised there; only masks go in and counts come out.
    """

    def __init__(
        self,
        network: Network,
        normalisation: Normalisation,
        layout: Layout,
        *,
        compaction: Compaction | None = None,
        precision: DType = jnp.float32,
    ):
        self.layout = layout
        self.compaction = compaction or Compaction()
        self.programs = StagePrograms(network, normalisation, layout, self.compaction, precision)
        self._at_once = CPU_BATCHES_AT_ONCE if jax.default_backend() == "cpu" else 1

    def place(self, shard: Batches) -> Placed:
        """The batches of a shard as arrays on the device."""
        return [
            (jnp.asarray(images), jnp.asarray(labels))
            for images, labels in zip(shard.images, shard.labels, strict=True)
        ]

    def count(self, placed: Placed, masks: np.ndarray) -> np.ndarray:
        """``bool[n, f]`` -> ``int64[2, n]``: correct images, and images with a logit that is not finite."""
        counts = np.zeros((2, len(masks)), np.int64)

        def add(rows: tuple[int, ...], found: jax.Array) -> None:
            counts[:, rows] += np.asarray(found)[:, None]

        self._walk(placed, masks, self.programs.count, add)
        return counts

    def predict(self, placed: Placed, mask: np.ndarray) -> np.ndarray:
        """Predicted classes ``int32[k * b]`` under one mask; rows of padding included."""
        return self._of_images(placed, mask, self.programs.predict)

    def margins(self, placed: Placed, mask: np.ndarray) -> np.ndarray:
        """``float32[k * b]``: how far the right logit is above all others; see :class:`StagePrograms`."""
        return self._of_images(placed, mask, self.programs.margins)

    def compile(self, shard: Batches) -> float:
        """Compile what the unpruned network needs for the batches of this shard; seconds that took."""
        started = perf_counter()
        self.count(self.place(shard)[:1], self.layout.full()[None])
        return perf_counter() - started

    def _of_images(self, placed: Placed, mask: np.ndarray, leaf: Any) -> np.ndarray:
        found: list[np.ndarray] = []
        self._walk(placed, mask[None], leaf, lambda _, batch: found.append(np.asarray(batch)))
        return np.concatenate(found)

    def _walk(
        self, placed: Placed, masks: np.ndarray, leaf: Any, take: Callable[[tuple[int, ...], jax.Array], None]
    ) -> None:
        """Give ``take`` what ``leaf`` makes of each distinct mask (its rows) and batch, batches in order."""
        tree = plan(masks, self.layout, self.programs.chain, self.compaction)
        for start in range(0, len(placed), self._at_once):
            walk = _Walk(self.programs, masks, placed[start : start + self._at_once], leaf, take)
            for node in tree:
                walk.visit(node, [images for images, _ in walk.batches], owned=False)
            walk.finish()


class _Walk:
    """One walk through a tree with some batches."""

    def __init__(
        self,
        programs: StagePrograms,
        masks: np.ndarray,
        batches: Placed,
        leaf: Any,
        take: Callable[[tuple[int, ...], jax.Array], None],
    ):
        self.batches = batches
        self._programs = programs
        self._masks = masks
        self._leaf = leaf
        self._take = take
        self._under_way: deque[tuple[tuple[int, ...], jax.Array]] = deque()

    def visit(self, node: Node, carries: list[jax.Array], owned: bool) -> None:
        """Run a node and all below it. ``carries`` that are ``owned`` are needed by nobody else."""
        programs = self._programs
        variant = programs.variant(node.stage, self._masks[node.rows[0]])
        weights = programs.weights(node.stage, variant)
        if node.stage == len(programs.chain) - 1:
            for carry, (_, labels) in zip(carries, self.batches, strict=True):
                self._under_way.append((node.rows, self._leaf(weights, carry, variant.keeps, labels)))
            self._settle(len(self.batches))
            return
        outputs = [programs.run(node.stage, weights, carry, variant.keeps) for carry in carries]
        if owned:
            carries.clear()
        del weights
        for child in node.children:
            self.visit(child, outputs, owned=child is node.children[-1])

    def finish(self) -> None:
        """Wait for all results."""
        self._settle(0)

    def _settle(self, most: int) -> None:
        """Take results until at most ``most`` are under way: dispatch must not run ahead of the device."""
        while len(self._under_way) > most:
            self._take(*self._under_way.popleft())
