"""A pool of Ray actors that answers messages about shards of the data.

The decisions are those of :mod:`engine.dispatch`; here they meet Ray. Written on ``ray.wait``: with
``ray.util.ActorPool`` one dead actor wedges the pool. Ray is imported only when a pool is made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import numpy as np

from engine.dispatch import Attempt, Dispatcher
from engine.errors import BackendError
from engine.pool_figures import PoolFigures
from engine.pool_options import PoolOptions
from engine.ray_session import cause_of, connect, import_ray
from engine.slots import CoreSlots
from engine.worker import ShardFunction, Whereabouts, Worker

NOTICE = 30.0
"""Seconds without any worker after which the user is told what is waited for."""
BEAT = 1.0
"""Most seconds between two looks at the clock, and between two reports."""
GPU_SHARE = 0.9
"""Of its fraction of a GPU's memory that JAX may take in a worker; the rest is for CUDA itself."""


@dataclass(eq=False)
class _Actor:
    handle: Any
    process_id: int | None = None
    placed: float | None = None


@dataclass(frozen=True)
class _Expected:
    """What an object reference stands for: ``whereabouts``, ``ready`` or ``answer`` of a worker."""

    kind: str
    worker: int
    attempt: Attempt | None = None


class RayPool:
    """Actors that each hold the network, and take shards as they become idle.

    Actors that find no place wait in Ray's queue, which is what makes a cluster grow; they join when there is
    room for them.
    """

    def __init__(
        self,
        build: Callable[[Any], ShardFunction],
        blueprint: Any,
        options: PoolOptions,
        warn: Callable[[str], None],
        watch: Callable[[PoolFigures], None] = lambda figures: None,
    ):
        """``build(blueprint)`` runs in each worker and gives ``(index, shard, message) -> result``.

        ``watch`` is told how the pool is doing, about once a second while it works.

        Raises:
            BackendError: Ray is not installed, not to be reached, or its only machine too small.
        """
        self._ray = import_ray()
        self._options = options
        self._warn = warn
        self._watch = watch
        self._dispatcher = Dispatcher(options.workers, options.task_timeout)
        self._slots = CoreSlots(options.cpus_per_worker)
        self._actors: dict[int, _Actor] = {}
        self._expected: dict[Any, _Expected] = {}
        self._results: dict[int, np.ndarray] = {}
        self._shards: list[Any] = []
        self._first_shard = 0
        self._useful = 0.0
        self._there = 0.0
        self._counted_to = monotonic()
        self._reported = self._counted_to
        self._alone_since = self._counted_to
        self._noticed = False
        self._owns_ray = connect(self._ray, options, warn)
        try:
            self._check_room()
            self._build = build
            self._blueprint = self._ray.put(blueprint)
            self._hire()
        except BaseException:
            self.close()
            raise

    @property
    def replaced(self) -> int:
        """Workers lost, or sent away, after they had been ready."""
        return self._dispatcher.replaced

    def load(self, shards: Sequence[Any]) -> None:
        """Take these shards, numbered from 0, instead of any before."""
        # Workers know shards by numbers that are never used again.
        self._first_shard += len(self._shards)
        self._shards = [self._ray.put(shard) for shard in shards]
        self._dispatcher.forget_shards()

    def run(
        self, messages: Sequence[Any], tasks: Sequence[tuple[int, int]], work: float = 1.0
    ) -> list[np.ndarray]:
        """The answer to each task, which is the number of a message and that of a shard, in their order.

        ``work``: of the largest task, above 0, in one unit for all runs; what takes too long goes by it.

        Raises:
            EvaluationError: a task failed on several workers.
            BackendError: no worker gets ready.
        """
        references = [self._ray.put(message) for message in messages]
        self._results = {}
        self._dispatcher.begin([shard for _, shard in tasks], work)
        while not self._dispatcher.done:
            self._hire()
            for attempt in self._dispatcher.assignments(monotonic()):
                actor = self._actors[attempt.worker].handle
                number, shard = self._first_shard + attempt.shard, self._shards[attempt.shard]
                answer = actor.count.remote(number, shard, references[tasks[attempt.task][0]])
                self._expected[answer] = _Expected("answer", attempt.worker, attempt)
            for reference in self._arrived():
                if expected := self._expected.pop(reference, None):
                    self._take(reference, expected)
            self._send_away_the_overdue()
            self._keep_watch()
        return [self._results[task] for task in range(len(tasks))]

    def figures(self) -> PoolFigures:
        """How the pool is doing; begins a new period of utilisation."""
        self._count_time()
        figures = self._figures_now()
        self._useful = self._there = 0.0
        return figures

    def close(self) -> None:
        """End the workers, and Ray if this pool started it."""
        if self._owns_ray:
            self._ray.shutdown()
        else:
            for actor in self._actors.values():
                self._ray.kill(actor.handle)
        self._actors = {}
        self._expected = {}

    def process_ids(self) -> list[int]:
        """Process id of each worker that has a place (on its own machine)."""
        return [actor.process_id for actor in self._actors.values() if actor.process_id is not None]

    def _arrived(self) -> list[Any]:
        """References whose values are there; waits for the first, or until there is something else to do."""
        now = monotonic()
        wake_at = self._dispatcher.wake_at()
        patience = BEAT if wake_at is None else min(max(wake_at - now, 0.0), BEAT)
        references = list(self._expected)
        if not references:
            sleep(patience)
            return []
        ready, rest = self._ray.wait(references, num_returns=1, timeout=patience)
        if ready and rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return ready

    def _take(self, reference: Any, expected: _Expected) -> None:
        """Learn what a reference has to say."""
        worker, now = expected.worker, monotonic()
        self._count_time()
        try:
            value = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if expected.attempt is not None:
                if self._dispatcher.failed(expected.attempt, now, cause_of(error)):
                    self._dismiss(worker, cause_of(error))
            else:
                self._refused(worker, cause_of(error))
        except self._ray.exceptions.RayActorError as error:
            # Ray's own text goes on for a page.
            cause = "its process or its machine is gone"
            if expected.attempt is None:
                # Where it found no machine, Ray says why.
                self._refused(worker, cause if self._actors[worker].placed else cause_of(error), died=True)
                return
            self._dispatcher.lost(worker, cause)
            self._dismiss(worker, cause)
        except self._ray.exceptions.RayError as error:
            if expected.attempt is None:
                self._refused(worker, cause_of(error))
                return
            self._dispatcher.lost(worker, cause_of(error))
            self._dismiss(worker, cause_of(error))
        else:
            if expected.kind == "whereabouts":
                self._placed(worker, value)
            elif expected.attempt is None:
                self._dispatcher.joined(worker)
            else:
                answer, seconds = value
                task = self._dispatcher.answered(expected.attempt, now)
                if task is not None:
                    self._results[task] = answer
                    self._useful += seconds

    def _hire(self) -> None:
        """Start the actors that are missing."""
        options = self._options
        for worker in self._dispatcher.hires(monotonic()):
            actor_class = self._ray.remote(
                num_cpus=options.cpus_per_worker,
                num_gpus=options.gpus_per_worker,
                max_restarts=0,
                runtime_env={"env_vars": jax_variables(options.gpus_per_worker)},
            )(Worker)
            handle = actor_class.remote()
            self._actors[worker] = _Actor(handle)
            self._expected[handle.whereabouts.remote()] = _Expected("whereabouts", worker)

    def _placed(self, worker: int, place: Whereabouts) -> None:
        """An actor has found a machine; give it its cores and the network."""
        actor = self._actors[worker]
        actor.process_id = place.process_id
        actor.placed = monotonic()
        if place.cores is not None and self._options.gpus_per_worker == 0:
            cores = self._slots.take(worker, place.host, place.cores)
            if cores is not None:
                actor.handle.pin.remote(cores)
        # The calls of an actor run in order.
        ready = actor.handle.prepare.remote(self._build, self._blueprint, self._options.gpus_per_worker > 0)
        self._expected[ready] = _Expected("ready", worker)

    def _refused(self, worker: int, cause: str, *, died: bool = False) -> None:
        self._dismiss(worker, cause)
        self._dispatcher.refused(worker, monotonic(), cause, died=died)

    def _dismiss(self, worker: int, cause: str) -> None:
        """End an actor and forget it."""
        self._warn(f"worker {worker} is replaced: {cause}")
        self._slots.give_back(worker)
        self._ray.kill(self._actors.pop(worker).handle)
        self._expected = {
            reference: other for reference, other in self._expected.items() if other.worker != worker
        }

    def _send_away_the_overdue(self) -> None:
        limit = self._dispatcher.timeout
        for worker in self._dispatcher.overdue(monotonic()):
            cause = f"it did not answer within {limit:g} s (--task-timeout)"
            self._dismiss(worker, cause)
            self._dispatcher.lost(worker, cause)
        for expected in list(self._expected.values()):
            placed = self._actors[expected.worker].placed
            if expected.kind == "ready" and placed is not None and monotonic() - placed > limit:
                self._refused(expected.worker, f"it was not ready within {limit:g} s (--task-timeout)")

    def _keep_watch(self) -> None:
        """Say what is going on, to whoever watches and, if nothing goes on, to the user."""
        now = monotonic()
        if now - self._reported >= BEAT:
            self._reported = now
            self._count_time()
            self._watch(self._figures_now())
        if self._dispatcher.ready:
            if self._noticed:
                self._warn(f"{self._dispatcher.ready} of {self._options.workers} workers are there; going on.")
            self._alone_since, self._noticed = now, False
        elif now - self._alone_since > NOTICE and not self._noticed:
            self._noticed = True
            self._warn(f"waiting for workers: none of {self._options.workers} is there. {self._room()}")

    def _count_time(self) -> None:
        now = monotonic()
        self._there += self._dispatcher.ready * (now - self._counted_to)
        self._counted_to = now

    def _figures_now(self) -> PoolFigures:
        dispatcher = self._dispatcher
        utilisation = min(self._useful / self._there, 1.0) if self._there > 0 else None
        return PoolFigures(
            dispatcher.ready, dispatcher.wanted, dispatcher.replaced, dispatcher.in_flight, utilisation
        )

    def _check_room(self) -> None:
        """Refuse what a machine of our own can never hold; a cluster may still grow."""
        if not self._fits():
            if self._options.address is None:
                raise BackendError(f"{self._room()} Lower --workers or what each one asks for.")
            self._warn(f"{self._room()} The search begins with what there is and uses what joins.")

    def _fits(self) -> bool:
        have, options = self._ray.cluster_resources(), self._options
        return all(
            each * options.workers <= have.get(resource, 0)
            for resource, each in (("CPU", options.cpus_per_worker), ("GPU", options.gpus_per_worker))
        )

    def _room(self) -> str:
        """What the workers need and what there is, as a sentence."""
        have, options = self._ray.cluster_resources(), self._options
        cpus, gpus = options.cpus_per_worker, options.gpus_per_worker
        needed = f"{cpus * options.workers:g} CPUs (--cpus-per-worker {cpus})"
        if gpus:
            needed += f" and {gpus * options.workers:g} GPUs (--gpus-per-worker {gpus:g})"
        there = f"{have.get('CPU', 0):g} CPUs and {have.get('GPU', 0):g} GPUs"
        return f"--workers {options.workers} need {needed} and the Ray cluster has {there}."


def jax_variables(gpus_per_worker: float) -> dict[str, str]:
    """Environment of a worker, so that JAX takes its own device only, and its share of that.

    By default JAX takes three quarters of a GPU's memory as it starts, whoever else works there.
    """
    if gpus_per_worker == 0:
        return {"JAX_PLATFORMS": "cpu"}
    if gpus_per_worker >= 1:
        return {}
    share = f"{GPU_SHARE * gpus_per_worker:.3f}"
    return {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_PYTHON_CLIENT_MEM_FRACTION": share}
