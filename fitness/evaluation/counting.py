"""Counts, on one device, the images of a shard that masked networks get right.

The plan of :mod:`fitness.evaluation.tree.prefix_tree` is walked depth-first, a few batches at a time. Held at any
time: for each stage and each of these batches at most one carry, the weights of one run, and the network's
weights once in the form that computes fastest. None of that grows with the number of masks. Only statistics of
batch norms do, where they are measured for each mask: two numbers for each channel. Carries that later masks
may need are kept within a limit (:mod:`fitness.evaluation.tree.kept_carries`).
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np

from engine.layout import Layout
from fitness.evaluation.compaction import Compaction
from fitness.evaluation.division import Batches
from fitness.evaluation.masked_stages import MaskedStages
from fitness.evaluation.tree.compilation import Leaf as LeafProgram
from fitness.evaluation.tree.compilation import compile_programs
from fitness.evaluation.tree.kept_carries import KeptCarries
from fitness.evaluation.tree.prefix_tree import plan
from fitness.evaluation.tree.statistics import MeasuredStatistics
from fitness.evaluation.tree.walk import Leaf, Placed, Walk
from models.compensation.method import Compensation
from models.contract import DType, Network
from models.normalisation import Normalisation

CPU_BATCHES_AT_ONCE = 4
"""Batches that share the cut and prepared weights of a run. More are hardly faster."""
LARGE_BATCH = 1 << 19
"""Places of the images of a batch from which on only half as many batches share them, to bound the memory."""
MOST_STREAMS = 4
"""Bounds the memory on machines with many cores. XLA uses the other cores within a stage."""


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
        compensation: Compensation | None = None,
        kept_bytes: int = 0,
    ):
        """``kept_bytes``: of the carries that are kept for later masks, see :class:`KeptCarries`."""
        self.layout = layout
        self.compaction = compaction or Compaction()
        self.stages = MaskedStages(network, normalisation, layout, self.compaction, precision, compensation)
        self._statistics = MeasuredStatistics(
            self.stages, None if compensation is None else compensation.calibration
        )
        self._kept = KeptCarries(kept_bytes) if kept_bytes else None
        on_cpu = jax.default_backend() == "cpu"
        self._at_once = CPU_BATCHES_AT_ONCE if on_cpu else 1
        self._threads = ThreadPoolExecutor(streams(), "evoprune-count") if on_cpu else None

    def place(self, shard: Batches) -> Placed:
        """The batches of a shard as arrays on the device."""
        return [
            (jnp.asarray(images), jnp.asarray(labels))
            for images, labels in zip(shard.images, shard.labels, strict=True)
        ]

    def count(self, placed: Placed, masks: np.ndarray, shard: int | None = None) -> np.ndarray:
        """``bool[n, f]`` -> ``int64[2, n]``: correct images, and images with a logit that is not finite.

        ``shard`` stands for these images in later calls, for which carries are kept; None keeps none.
        """
        counts = np.zeros((2, len(masks)), np.int64)
        for rows, found in self._leaves(placed, masks, MaskedStages.count, shard):
            counts[:, rows] += found[:, None]
        return counts

    def predict(self, placed: Placed, mask: np.ndarray) -> np.ndarray:
        """Predicted classes ``int32[k * b]`` under one mask, -1 for NaN or infinity; rows of padding included."""
        leaves = self._leaves(placed, mask[None], MaskedStages.predict)
        return np.concatenate([found for _, found in leaves])

    def margins(self, placed: Placed, mask: np.ndarray) -> np.ndarray:
        """``float32[k * b]``: the right logit minus the highest other logit, under one mask."""
        leaves = self._leaves(placed, mask[None], MaskedStages.margins)
        return np.concatenate([found for _, found in leaves])

    def compile(self, shard: Batches) -> float:
        """Compile the programs of the unpruned network for the batches of this shard; returns the seconds."""
        started = perf_counter()
        self.count(self.place(shard)[:1], self.layout.full()[None])
        return perf_counter() - started

    def _leaves(
        self, placed: Placed, masks: np.ndarray, program: LeafProgram, shard: int | None = None
    ) -> list[Leaf]:
        """The answers of ``program`` for each batch and distinct mask. For one mask, batches are in order."""
        tree = plan(masks, self.layout, self.stages.chain, self.compaction)
        if self._threads is not None:
            images = self._statistics.images
            compile_programs(self.stages, program, tree, masks, placed[0], images, self._threads)
        leaf = partial(program, self.stages)
        self._statistics.measure(tree, masks)
        held = self.stages, self._statistics, masks
        prefixes = cache(lambda row: self.stages.prefixes(masks[row]))
        found = []
        for number, part in enumerate(self._parts(placed)):
            shelf = None
            if shard is not None and self._kept is not None:
                shelf = self._kept.shelf(shard, number, sum(len(images) for images, _ in part))
                shelf.begin()
            found += Walk(*held, part, leaf, self._threads, shelf, prefixes).through(tree)
        return found

    def _parts(self, placed: Placed) -> list[Placed]:
        """The batches in parts that are walked together; only the last may be shorter, and leave cores idle."""
        batch, height, width, _ = placed[0][0].shape
        at_once = self._at_once
        if batch * height * width >= LARGE_BATCH:
            at_once = max(1, at_once // 2)
        return [placed[first : first + at_once] for first in range(0, len(placed), at_once)]


def streams() -> int:
    """Batches to compute at the same time.

    On CPU much of a stage runs on one core at a time, so there are as many as cores, up to
    :data:`MOST_STREAMS`: 1.6 times the images/s of one after the other on 2 cores, for a full-size VGG-16.
    The results are the same to the bit. A GPU is filled by one.
    """
    if jax.default_backend() != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_STREAMS)
