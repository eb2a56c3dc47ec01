"""Evaluators: how many images each mask gets right, in this process or on Ray workers.

Work is split by images. Each shard answers two integers for each mask, and integers add up to the same
whoever counted them, in whatever order; so both evaluators give the same counts.
"""

from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np

from engine.contracts import FAILED
from engine.layout import Layout
from engine.pool import PoolOptions, RayPool
from fitness.batches import Batches
from fitness.counting import MaskedCounter
from models.normalisation import Normalisation
from models.registry import architecture_from_json
from models.state import arrays_of, set_arrays
from models.store import Model

SHARDS_PER_WORKER = 4
"""More shards than workers, so that an idle worker finds one to take."""

CPU_BATCH = 64
"""Small enough for the activations of a wide network to stay in the caches."""

GPU_BATCH = 2048


class ClosableEvaluator(Protocol):
    """An evaluator that holds a device or workers until it is closed."""

    total: int

    def evaluate(self, masks: np.ndarray) -> np.ndarray:
        """See :class:`engine.contracts.Evaluator`."""
        ...

    def close(self) -> None:
        """Give workers back."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class LocalEvaluator:
    """Evaluates in this process, on JAX's default device."""

    def __init__(
        self, model: Model, layout: Layout, images: np.ndarray, labels: np.ndarray, batch: int = CPU_BATCH
    ):
        """``images``: ``uint8[total, height, width, channels]``; ``labels``: ``int32[total]``."""
        self.total = len(images)
        self._layout = layout
        self._counter = MaskedCounter(model.network, model.normalisation, layout)
        self._batches = Batches.of(images, labels, batch)
        self._placed = self._counter.place(self._batches)

    def evaluate(self, masks: np.ndarray) -> np.ndarray:
        """See :class:`engine.contracts.Evaluator`."""
        return _counts(self._counter.count(self._placed, self._layout.checked(masks)))

    def predict(self, mask: np.ndarray) -> np.ndarray:
        """Predicted classes ``int32[total]`` under ``bool[f]``."""
        return self._counter.predict(self._placed, mask)[: self.total]

    def compile(self) -> float:
        """Compile now rather than with the first masks; seconds that took."""
        return self._counter.compile(self._batches)

    def close(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RayEvaluator:
    """Evaluates on Ray actors, each with the network and its shards of the images on its device."""

    def __init__(
        self,
        model: Model,
        layout: Layout,
        images: np.ndarray,
        labels: np.ndarray,
        batch: int = CPU_BATCH,
        options: PoolOptions | None = None,
        warn: Callable[[str], None] = lambda message: None,
    ):
        """``images``: ``uint8[total, height, width, channels]``; ``labels``: ``int32[total]``.

        Raises:
            BackendError: Ray is not installed or has no room for the workers.
        """
        options = options or PoolOptions()
        self.total = len(images)
        self._layout = layout
        shards = Batches.of(images, labels, batch).shards(SHARDS_PER_WORKER * options.workers)
        # Plain arrays and JSON: nothing of Flax has to be pickled.
        blueprint = {
            "architecture": model.network.architecture.to_json(),
            "arrays": arrays_of(model.network),
            "normalisation": model.normalisation.to_json(),
            "layout": (layout.names, layout.sizes),
        }
        self.pool = RayPool(_shard_counter, blueprint, shards, options, warn)

    def evaluate(self, masks: np.ndarray) -> np.ndarray:
        """See :class:`engine.contracts.Evaluator`."""
        packed = self._layout.pack(self._layout.checked(masks))
        return _counts(np.sum(self.pool.run(packed), axis=0))

    def close(self) -> None:
        """End the workers."""
        self.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shard_counter(blueprint: dict[str, Any]) -> Callable[[int, Batches, np.ndarray], np.ndarray]:
    """Runs in a worker: rebuild the network, and keep on the device each shard that was ever counted."""
    network = architecture_from_json(blueprint["architecture"]).blank()
    set_arrays(network, blueprint["arrays"])
    layout = Layout(*blueprint["layout"])
    counter = MaskedCounter(network, Normalisation.from_json(blueprint["normalisation"]), layout)
    placed: dict[int, Any] = {}

    def count(index: int, shard: Batches, packed: np.ndarray) -> np.ndarray:
        if index not in placed:
            placed[index] = counter.place(shard)
        return counter.count(placed[index], layout.unpack(packed))

    return count


def _counts(sums: np.ndarray) -> np.ndarray:
    """``int64[2, n]`` (correct, not finite) -> counts with :data:`engine.contracts.FAILED`."""
    correct, not_finite = sums
    return np.where(not_finite > 0, FAILED, correct)
