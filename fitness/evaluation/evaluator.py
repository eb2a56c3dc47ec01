"""Evaluators: count the images that each mask gets right, in this process or on Ray workers.

Work is split by images. A shard answers two integers for each mask. The sum of integers does not depend on their
order or on the worker, so both evaluators give the same counts.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from engine.cluster.figures import PoolFigures
from engine.cluster.options import PoolOptions
from engine.cluster.pool import RayPool
from engine.cluster.tasks.calls import Ran, Task
from engine.contracts import FAILED, STOPPED, Target
from engine.layout import Layout
from engine.search.stopping import hopeless
from fitness.evaluation.division import Batches, block_count, hardest_first, rounds, shard_count
from fitness.evaluation.pipeline import Pipeline
from fitness.evaluation.precision import resolved
from fitness.evaluation.shard_worker import Request, Runner, blueprint, from_blueprint, local_worker
from models.compensation.method import Compensation
from models.model_directory import Model
from models.xla import check_devices

CPU_BATCH = 128
"""Images of a batch. Products over the smallest maps, which have a row for each image, then have rows enough."""

GPU_BATCH = 2048
"""Images of a batch."""


def usual_batch(*, gpu: bool | None = None) -> int:
    """Images of a batch on a GPU or not; on this process's device if ``gpu`` is None."""
    return GPU_BATCH if (on_gpu() if gpu is None else gpu) else CPU_BATCH


class ShardedEvaluator:
    """Orders the images, cuts them into rounds and shards, and adds up the answers of a runner.

    Attributes:
        total: number of images.
        precision: ``float32`` or ``bfloat16``.
        compensation: of every mask; None for none.
    """

    def __init__(
        self,
        runner: Runner,
        layout: Layout,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        batch: int,
        precision: str,
        order: str,
        pauses: bool,
        compensation: Compensation | None,
        workers: int = 1,
    ):
        self.total = len(images)
        self.precision = precision
        self.compensation = compensation
        self._runner = runner
        self._layout = layout
        self._batch = batch
        self._pauses = pauses
        self._workers = workers
        self._order = np.arange(self.total)
        self._arrange(images, labels)
        if order == "hardest-first":
            margins = np.concatenate(self._ask("margins", layout.full()[None]))[: self.total]
            self._order = hardest_first(margins)
            self._arrange(images[self._order], labels[self._order])

    def evaluate(self, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
        """See :class:`engine.contracts.Evaluator`."""
        masks = self._layout.checked(masks)
        if target is None:
            return counts_of(np.sum(self._ask("count", masks), axis=0))
        counts = np.full(len(masks), STOPPED, np.int64)
        sums = np.zeros((2, len(masks)), np.int64)
        seen = 0
        going = np.flatnonzero(target.needed <= self.total)
        pipeline = Pipeline(self._runner, self._layout, masks, self._rounds, self._sizes(), self._workers)
        # Images that a mask has lost in the last round: a guess at what it will lose in the next.
        lost_of_late = np.where(target.needed > 0, self.total, 0)
        for images in self._round_images:
            if len(going) == 0:
                break
            likely = sums[0] + self.total - seen - lost_of_late >= target.needed
            found = pipeline.count(going, going[likely[going]])
            sums[:, going] += found[:, going]
            lost_of_late = images - found[0]
            seen += images
            failed = sums[1, going] > 0
            counts[going[failed]] = FAILED
            going = going[~failed]
            if seen < self.total:
                tests = len(self._rounds) - 1
                lost = hopeless(sums[0, going], seen, self.total, target.rows(going), tests)
                going = going[~lost]
        counts[going] = sums[0, going]
        return counts

    def predict(self, mask: np.ndarray) -> np.ndarray:
        """Predicted classes ``int32[total]`` under the mask ``bool[f]``, in the given order. NaN: -1."""
        classes = np.empty(self.total, np.int32)
        classes[self._order] = np.concatenate(self._ask("predict", mask[None]))[: self.total]
        return classes

    def compare_precision(self) -> dict[str, int]:
        """This precision against float32 on the unpruned network: correct images of each, different answers."""
        here, reference, differing = np.sum(self._ask("compare", self._layout.full()[None]), axis=0)
        return {"correct": int(here), "float32_correct": int(reference), "images_that_differ": int(differing)}

    def workers(self) -> PoolFigures | None:
        """Figures of the workers since the last call; None if there are no workers."""
        return None

    def close(self) -> None:
        """Release the workers, if there are any."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _arrange(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Cut images, in the order of their evaluation, into rounds and shards."""
        batches = Batches.of(images, labels, self._batch)
        self._shards: list[Batches] = []
        self._rounds: list[list[int]] = []
        self._round_images: list[int] = []
        for part in rounds(len(batches.images), self.total, self._pauses):
            whole = batches.part(part)
            shards = whole.shards(shard_count(len(part), workers=self._workers))
            self._rounds.append(list(range(len(self._shards), len(self._shards) + len(shards))))
            self._round_images.append(int(np.count_nonzero(whole.labels >= 0)))
            self._shards += shards
        self._runner.load(self._shards)

    def _sizes(self) -> list[int]:
        """Images of each shard, padding included."""
        return [shard.labels.size for shard in self._shards]

    def _ask(self, kind: Any, masks: np.ndarray) -> list[np.ndarray]:
        """The answers of all shards, in order of the shards."""
        blocks = np.array_split(masks, block_count(len(masks), len(self._shards), self._workers))
        requests = [Request(kind, self._layout.pack(block)) for block in blocks]
        tasks = [
            Task(number, shard, float(max(1, len(block)) * size))
            for shard, size in enumerate(self._sizes())
            for number, block in enumerate(blocks)
        ]
        answers = self._runner.run(requests, tasks).answers
        if len(blocks) == 1:
            return answers
        starts = range(0, len(answers), len(blocks))
        return [np.concatenate(answers[start : start + len(blocks)], axis=-1) for start in starts]


class _Inline:
    """Runs requests in this process, one after the other."""

    def __init__(
        self, model: Model, layout: Layout, precision: str, compensation: Compensation | None, kept_bytes: int
    ):
        self.worker = local_worker(model, layout, precision, compensation, kept_bytes)
        self._shards: Sequence[Batches] = ()

    def load(self, shards: Sequence[Batches]) -> None:
        self._shards = shards

    def run(
        self,
        requests: Sequence[Request],
        tasks: Sequence[Task],
        *,
        carried: Sequence[int] = (),
        ahead: Sequence[Task] = (),
    ) -> Ran:
        """Nothing is begun ahead, as nobody would be idle."""
        answers = [self.worker(task.shard, self._shards[task.shard], requests[task.message]) for task in tasks]
        return Ran(answers, [])


class LocalEvaluator(ShardedEvaluator):
    """Evaluates in this process, on JAX's default device."""

    def __init__(
        self,
        model: Model,
        layout: Layout,
        images: np.ndarray,
        labels: np.ndarray,
        batch: int = CPU_BATCH,
        *,
        precision: str = "float32",
        order: str = "given",
        pauses: bool = False,
        compensation: Compensation | None = None,
        kept_bytes: int = 0,
    ):
        """Place the network on the device.

        Args:
            model: the network and its normalisation.
            layout: of the masks.
            images: ``uint8[total, height, width, channels]``.
            labels: ``int32[total]``.
            batch: most images of a batch.
            precision: see :mod:`fitness.evaluation.precision`.
            order: of the images, one of :data:`fitness.evaluation.division.ORDERS`.
            pauses: whether masks can be stopped between rounds of images.
            compensation: of every mask; None for none.
            kept_bytes: see :mod:`fitness.evaluation.tree.kept_carries`; without influence on counts.
        """
        self._inline = _Inline(model, layout, resolved(precision, on_gpu()), compensation, kept_bytes)
        super().__init__(
            self._inline,
            layout,
            images,
            labels,
            batch=batch,
            precision=resolved(precision, on_gpu()),
            order=order,
            pauses=pauses,
            compensation=compensation,
        )

    def compile(self) -> float:
        """Compile the programs of the unpruned network now, before the first masks; returns the seconds."""
        return self._inline.worker.counter.compile(self._shards[0])


class RayEvaluator(ShardedEvaluator):
    """Evaluates on Ray actors. Each holds the network and its shards of the images on its device."""

    def __init__(
        self,
        model: Model,
        layout: Layout,
        images: np.ndarray,
        labels: np.ndarray,
        batch: int = CPU_BATCH,
        options: PoolOptions | None = None,
        warn: Callable[[str], None] = lambda message: None,
        *,
        precision: str = "float32",
        order: str = "given",
        pauses: bool = False,
        compensation: Compensation | None = None,
        kept_bytes: int = 0,
        watch: Callable[[PoolFigures], None] = lambda figures: None,
    ):
        """Start the workers. Arguments as for :class:`LocalEvaluator`.

        Args:
            options: of the pool; without influence on counts.
            warn: receives messages for the user.
            watch: receives the figures of the workers about once a second.

        Raises:
            BackendError: Ray is not installed or has no room for the workers.
        """
        options = options or PoolOptions()
        chosen = resolved(precision, options.gpus_per_worker > 0)
        plan = blueprint(model, layout, chosen, compensation, kept_bytes)
        self.pool = RayPool(from_blueprint, plan, options, warn, watch)
        try:
            super().__init__(
                self.pool,
                layout,
                images,
                labels,
                batch=batch,
                precision=chosen,
                order=order,
                pauses=pauses,
                compensation=compensation,
                workers=options.workers,
            )
        except BaseException:
            self.pool.close()
            raise

    def workers(self) -> PoolFigures:
        """Figures of the workers since the last call."""
        return self.pool.figures()

    def close(self) -> None:
        """End the workers."""
        self.pool.close()


def on_gpu() -> bool:
    """Whether this process evaluates on a GPU.

    Raises:
        DeviceError: see :func:`models.xla.check_devices`.
    """
    import jax

    check_devices()
    return jax.default_backend() != "cpu"


def counts_of(sums: np.ndarray) -> np.ndarray:
    """``int64[2, n]`` (correct, not finite) -> counts with :data:`engine.contracts.FAILED`."""
    correct, not_finite = sums
    return np.where(not_finite > 0, FAILED, correct)
