"""Counts images that need not fit into memory: a few batches are read, counted and dropped, then the next."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from engine.layout import Layout
from fitness.evaluation.division import Batches, batch_size
from fitness.evaluation.evaluator import CPU_BATCH, counts_of, on_gpu
from fitness.evaluation.precision import resolved
from fitness.evaluation.shard_worker import Request, local_worker
from models.compensation.method import Compensation
from models.model_directory import Model

MOST_BYTES = 1 << 26
"""Images that are read at a time, as long as they are a batch."""


class StoredSet(Protocol):
    """Labelled images that are read a part at a time."""

    def __len__(self) -> int:
        """Number of images."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image."""
        ...

    def parts(self, at_once: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """``uint8[at_once, height, width, channels]`` and labels ``int32[at_once]``; the last are fewer."""
        ...


class StreamedEvaluator:
    """Evaluates in this process, on JAX's default device, and reads the images anew for each call.

    Counts are those of a :class:`LocalEvaluator` with the same batch size, to the bit.

    Attributes:
        total: number of images.
        precision: ``float32`` or ``bfloat16``.
    """

    def __init__(
        self,
        model: Model,
        layout: Layout,
        images: StoredSet,
        batch: int = CPU_BATCH,
        *,
        precision: str = "float32",
        compensation: Compensation | None = None,
    ):
        """Place the network on the device; the other arguments are those of a ``LocalEvaluator``.

        Raises:
            DataError: there are no images.
        """
        self.total = len(images)
        self.precision = resolved(precision, on_gpu())
        self._layout = layout
        self._images = images
        self._batch = batch_size(self.total, batch)
        self._worker = local_worker(model, layout, self.precision, compensation)

    def evaluate(self, masks: np.ndarray) -> np.ndarray:
        """``bool[n, f]`` -> ``int64[n]``: correct images, or :data:`engine.contracts.FAILED`."""
        masks = self._layout.checked(masks)
        counter = self._worker.counter
        sums = np.zeros((2, len(masks)), np.int64)
        for part in self._parts():
            sums += counter.count(counter.place(part), masks)
        return counts_of(sums)

    def predict(self, masks: np.ndarray) -> np.ndarray:
        """Predicted classes ``int32[n, total]`` under ``bool[n, f]``; -1 for NaN or infinity."""
        counter = self._worker.counter
        answers = []
        for part in self._parts():
            placed = counter.place(part)
            answers.append(np.stack([counter.predict(placed, mask) for mask in masks]))
        return np.concatenate(answers, axis=1)[:, : self.total]

    def compile(self) -> float:
        """Compile the programs of the unpruned network now, before the first masks; returns the seconds."""
        return self._worker.counter.compile(next(self._parts()))

    def compare_precision(self) -> dict[str, int]:
        """As for a ``LocalEvaluator``."""
        request = Request("compare", self._layout.pack(self._layout.full()[None]))
        answers = [self._worker(0, part, request) for part in self._parts()]
        here, reference, differing = np.sum(answers, axis=0)
        return {"correct": int(here), "float32_correct": int(reference), "images_that_differ": int(differing)}

    def _parts(self) -> Iterator[Batches]:
        """Whole batches, the last one padded."""
        bytes_of_batch = self._batch * int(np.prod(self._images.shape))
        batches = max(1, MOST_BYTES // bytes_of_batch)
        for images, labels in self._images.parts(batches * self._batch):
            yield Batches.cut(images, labels, self._batch)
