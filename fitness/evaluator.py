"""Evaluators: how many images each mask gets right, in this process or on Ray workers.

Work is split by images. Each shard answers two integers for each mask, and integers add up to the same
whoever counted them, in whatever order; so both evaluators give the same counts.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import numpy as np

from engine.contracts import FAILED, STOPPED, Target
from engine.layout import Layout
from engine.pool import RayPool
from engine.pool_figures import PoolFigures
from engine.pool_options import PoolOptions
from engine.racing import hopeless
from fitness import rounds
from fitness.batches import Batches
from fitness.precision import resolved
from fitness.shard_worker import Request, blueprint, from_blueprint, local_worker
from fitness.splitting import block_count, shard_count
from models.compensation.compensation import Compensation
from models.store import Model

CPU_BATCH = 64
"""Small enough for the activations of a wide network to stay in the caches."""

GPU_BATCH = 2048


class Runner(Protocol):
    """Answers requests about shards."""

    def load(self, shards: Sequence[Batches]) -> None:
        """Take these shards, numbered from 0, instead of any before."""
        ...

    def run(self, requests: Sequence[Request], tasks: Sequence[tuple[int, int]], work: float) -> list[np.ndarray]:
        """The answer to each task: the number of a request and that of a shard.

        ``work``: masks times images of the largest task.
        """
        ...


class ShardedEvaluator:
    """Orders the images, cuts them into rounds and shards, and adds up what a runner answers.

    Attributes:
        total: images that every mask is evaluated on.
        precision: ``float32`` or ``bfloat16``.
        compensation: what every mask is compensated with; None for nothing.
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
            self._order = rounds.hardest_first(margins)
            self._arrange(images[self._order], labels[self._order])

    def evaluate(self, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
        """See :class:`engine.contracts.Evaluator`."""
        masks = self._layout.checked(masks)
        if target is None:
            return _counts(np.sum(self._ask("count", masks), axis=0))
        counts = np.full(len(masks), STOPPED, np.int64)
        sums = np.zeros((2, len(masks)), np.int64)
        seen = 0
        going = np.flatnonzero(target.needed <= self.total)
        for shards, images in zip(self._rounds, self._round_images, strict=True):
            if len(going) == 0:
                break
            sums[:, going] += np.sum(self._ask("count", masks[going], shards), axis=0)
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
        """Predicted classes ``int32[total]`` under ``bool[f]``, for the images as they were given."""
        classes = np.empty(self.total, np.int32)
        classes[self._order] = np.concatenate(self._ask("predict", mask[None]))[: self.total]
        return classes

    def compare_precision(self) -> dict[str, int]:
        """What this precision changes for the unpruned network: the correct in both, and images that differ."""
        here, reference, differing = np.sum(self._ask("compare", self._layout.full()[None]), axis=0)
        return {"correct": int(here), "float32_correct": int(reference), "images_that_differ": int(differing)}

    def workers(self) -> PoolFigures | None:
        """How the workers did since the last call; None where there are none."""
        return None

    def close(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _arrange(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Cut images, in the order they are to be evaluated in, into rounds and shards."""
        batches = Batches.of(images, labels, self._batch)
        self._shards: list[Batches] = []
        self._rounds: list[list[int]] = []
        self._round_images: list[int] = []
        for part in rounds.cut(len(batches.images), self.total, self._pauses):
            whole = Batches(batches.images[part], batches.labels[part])
            shards = whole.shards(shard_count(len(part), workers=self._workers))
            self._rounds.append(list(range(len(self._shards), len(self._shards) + len(shards))))
            self._round_images.append(int(np.count_nonzero(whole.labels >= 0)))
            self._shards += shards
        self._runner.load(self._shards)

    def _ask(self, kind: Any, masks: np.ndarray, shards: Sequence[int] | None = None) -> list[np.ndarray]:
        """The answers of some shards (all if None), in their order."""
        shards = range(len(self._shards)) if shards is None else shards
        blocks = np.array_split(masks, block_count(len(masks), len(shards), self._workers))
        requests = [Request(kind, self._layout.pack(block)) for block in blocks]
        tasks = [(request, shard) for shard in shards for request in range(len(blocks))]
        work = max(1, *map(len, blocks)) * max(self._shards[shard].labels.size for shard in shards)
        answers = self._runner.run(requests, tasks, float(work))
        if len(blocks) == 1:
            return answers
        starts = range(0, len(answers), len(blocks))
        return [np.concatenate(answers[start : start + len(blocks)], axis=-1) for start in starts]


class _Inline:
    """Runs requests here and now."""

    def __init__(self, model: Model, layout: Layout, precision: str, compensation: Compensation | None):
        self.worker = local_worker(model, layout, precision, compensation)
        self._shards: Sequence[Batches] = ()

    def load(self, shards: Sequence[Batches]) -> None:
        self._shards = shards

    def run(self, requests: Sequence[Request], tasks: Sequence[tuple[int, int]], work: float) -> list[np.ndarray]:
        return [self.worker(shard, self._shards[shard], requests[request]) for request, shard in tasks]


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
    ):
        """``images``: ``uint8[total, height, width, channels]``; ``labels``: ``int32[total]``.

        ``precision``: see :mod:`fitness.precision`. ``order`` and ``pauses``, for stopping masks early: see
        :mod:`fitness.rounds`. ``compensation`` is applied to every mask.
        """
        self._inline = _Inline(model, layout, resolved(precision, on_gpu()), compensation)
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
        """Compile what the unpruned network needs, rather than with the first masks; seconds that took."""
        return self._inline.worker.counter.compile(self._shards[0])

    def programs(self) -> int:
        """Compiled programs that are held."""
        return self._inline.worker.counter.programs.compiled()


class RayEvaluator(ShardedEvaluator):
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
        *,
        precision: str = "float32",
        order: str = "given",
        pauses: bool = False,
        compensation: Compensation | None = None,
        watch: Callable[[PoolFigures], None] = lambda figures: None,
    ):
        """Arguments as for :class:`LocalEvaluator`; ``options`` have no influence on counts.

        ``warn`` is told what users should know, ``watch`` about once a second how the workers are doing.

        Raises:
            BackendError: Ray is not installed or has no room for the workers.
        """
        options = options or PoolOptions()
        chosen = resolved(precision, options.gpus_per_worker > 0)
        plan = blueprint(model, layout, chosen, compensation)
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
        """How the workers did since the last call."""
        return self.pool.figures()

    def close(self) -> None:
        """End the workers."""
        self.pool.close()


def on_gpu() -> bool:
    """Whether this process evaluates on a GPU."""
    import jax

    return jax.default_backend() != "cpu"


def _counts(sums: np.ndarray) -> np.ndarray:
    """``int64[2, n]`` (correct, not finite) -> counts with :data:`engine.contracts.FAILED`."""
    correct, not_finite = sums
    return np.where(not_finite > 0, FAILED, correct)
