"""A pool of Ray actors that answers messages about shards of the data.

:mod:`engine.cluster.tasks.dispatch` decides, and this module carries the decisions out with ``ray.wait``. With
``ray.util.ActorPool`` one dead actor blocks the pool. Ray's ``max_restarts`` and ``max_task_retries`` would hold
a task until its own actor is back, and could not give it to an idle worker, pin the new process to cores, or stop
after a few deaths over the same task. Ray is imported only when a pool is made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from engine.cluster.connection import connect, import_ray
from engine.cluster.devices import CoreSlots, jax_variables
from engine.cluster.faults import Fault, Kind, fault_of, out_of_memory
from engine.cluster.figures import PoolFigures
from engine.cluster.head import HeadWatch, lost_connection
from engine.cluster.options import PoolOptions
from engine.cluster.room import check_room, fits, room_told
from engine.cluster.tasks.attempt import Attempt
from engine.cluster.tasks.calls import Calls, Ran, Task
from engine.cluster.tasks.dispatch import Dispatcher
from engine.cluster.worker import ShardFunction, Whereabouts, Worker
from engine.errors import BackendError, EvaluationError

NOTICE = 30.0
"""Seconds without any worker after which the user is told what the search waits for."""
BEAT = 1.0
"""Most seconds that the pool waits before it looks at the clock again, and seconds between reports."""


@dataclass(eq=False)
class _Actor:
    handle: Any
    process_id: int | None = None
    placed: float | None = None


@dataclass(frozen=True)
class _Expected:
    """The meaning of an object reference: ``whereabouts``, ``ready`` or ``answer`` of a worker."""

    kind: str
    worker: int
    attempt: Attempt | None = None


class RayPool:
    """Actors that each hold the network and take tasks as they become idle.

    Actors that find no room wait in Ray's queue, which makes a cluster grow, and join when there is room.
    """

    def __init__(
        self,
        build: Callable[[Any], ShardFunction],
        blueprint: Any,
        options: PoolOptions,
        warn: Callable[[str], None],
        watch: Callable[[PoolFigures], None] = lambda figures: None,
    ):
        """Connect to Ray and start the workers.

        Args:
            build: runs in each worker; turns the blueprint into the worker's function.
            blueprint: sent to every worker.
            options: where the workers run, and what each gets.
            warn: receives sentences for the user.
            watch: receives the pool's figures about once a second while the pool works.

        Raises:
            BackendError: Ray is not installed or cannot be reached, or this machine is too small.
        """
        self._ray = import_ray()
        self._options = options
        self._warn = warn
        self._watch = watch
        self._dispatcher = Dispatcher(options.workers, options.task_timeout)
        self._slots = CoreSlots(options.cpus_per_worker)
        self._actors: dict[int, _Actor] = {}
        self._expected: dict[Any, _Expected] = {}
        self._calls = Calls()
        self._shards: list[Any] = []
        self._first_shard = 0
        self._there = 0.0
        self._counted_to = monotonic()
        self._reported = self._counted_to
        self._alone_since = self._counted_to
        self._noticed = False
        self._largest = 0.0
        self._connection = connect(self._ray, options, warn)
        self._head = HeadWatch.of(self._ray, options.address)
        try:
            with lost_connection():
                check_room(self._ray.cluster_resources(), options, warn)
                self._build = build
                self._blueprint = self._ray.put(blueprint)
                self._hire()
        except BaseException:
            self.close()
            raise

    @property
    def replaced(self) -> int:
        """Workers lost or dismissed after they were ready."""
        return self._dispatcher.crew.replaced

    def load(self, shards: Sequence[Any]) -> None:
        """Replace all shards by these, numbered from 0."""
        # Workers know shards by numbers that are never reused.
        self._first_shard += len(self._shards)
        self._calls.forget()
        with lost_connection():
            self._head.check()
            self._shards = [self._ray.put(shard) for shard in shards]
        self._dispatcher.crew.forget_shards()

    def run(
        self,
        messages: Sequence[Any],
        tasks: Sequence[Task],
        *,
        carried: Sequence[int] = (),
        ahead: Sequence[Task] = (),
    ) -> Ran:
        """The answers to all tasks, in order.

        Args:
            messages: sent to the workers that need them.
            tasks: new ones.
            carried: numbers of tasks that the last run began ahead, and that are needed now. The others are
                dropped. :meth:`load` drops all.
            ahead: tasks that the next run will probably need. Workers without a task begin them, and this run
                does not wait for them.

        Raises:
            EvaluationError: a task failed on several workers.
            BackendError: no worker becomes ready.
        """
        with lost_connection():
            self._head.check()
            references = [self._ray.put(message) for message in messages]
            calls = self._calls
            calls.begin(references, tasks, carried, ahead)
            self._dispatcher.begin(calls.reads, calls.works, carried=calls.unfinished, ahead=len(ahead))
            while not self._dispatcher.done:
                self._step()
        return calls.ran(self._dispatcher.begun)

    def _step(self) -> None:
        """Start what can be started, and take what has arrived."""
        self._head.check()
        self._hire()
        for attempt in self._dispatcher.assignments(monotonic()):
            actor = self._actors[attempt.worker].handle
            number, shard = self._first_shard + attempt.shard, self._shards[attempt.shard]
            answer = actor.count.remote(number, shard, self._calls.message(attempt.task))
            self._expected[answer] = _Expected("answer", attempt.worker, attempt)
        for reference in self._arrived():
            if expected := self._expected.pop(reference, None):
                self._take(reference, expected)
        self._dismiss_overdue()
        self._keep_watch()

    def figures(self) -> PoolFigures:
        """The pool's figures; the next utilisation is counted from here."""
        self._count_time()
        figures = self._figures_now()
        self._calls.useful = self._there = 0.0
        return figures

    def close(self) -> None:
        """End the workers, and Ray if this pool connected to it."""
        self._head.close()
        if self._connection is not None:
            self._connection.close()
        else:
            for actor in self._actors.values():
                self._ray.kill(actor.handle)
        self._actors = {}
        self._expected = {}

    def process_ids(self) -> list[int]:
        """Process id, on its own machine, of each worker that has found room."""
        return [actor.process_id for actor in self._actors.values() if actor.process_id is not None]

    def _arrived(self) -> list[Any]:
        """References whose values have arrived; waits for the first, or until something else is due."""
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
        """Pass the value or the error of a reference on to the dispatcher."""
        worker, now = expected.worker, monotonic()
        self._count_time()
        try:
            value = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            fault = fault_of(error)
            try:
                self._suffer(fault, expected, now)
            except (BackendError, EvaluationError) as hopeless:
                if fault.kind is not Kind.MEMORY:
                    raise
                raise BackendError(out_of_memory(fault, self._options.workers, self._largest)) from hopeless
        else:
            if expected.kind == "whereabouts":
                self._placed(worker, value)
            elif expected.attempt is None:
                self._dispatcher.joined(worker)
            else:
                answer, seconds = value
                task = self._dispatcher.answered(expected.attempt, now)
                if task is not None:
                    self._calls.answer(task, answer, seconds)

    def _suffer(self, fault: Fault, expected: _Expected, now: float) -> None:
        """Pass a fault on to the dispatcher, and replace the worker if need be."""
        worker = expected.worker
        self._largest = max(self._largest, fault.gigabytes or 0.0)
        if expected.attempt is None:
            self._refused(worker, fault.told, died=fault.kind is Kind.GONE)
        elif fault.raised:
            if self._dispatcher.failed(expected.attempt, now, fault.cause):
                self._dismiss(worker, fault.told)
        else:
            self._dismiss(worker, fault.told)
            self._dispatcher.lost(worker, fault.cause)

    def _hire(self) -> None:
        """Start the actors that are missing."""
        options, crew = self._options, self._dispatcher.crew
        due = crew.next_hire()
        if due is None or due > monotonic():
            return
        if not self._head.answers():
            # Ray would wait for its head here, until Ray ends this process.
            sleep(BEAT)
            return
        for worker in crew.hires(monotonic()):
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
        """An actor has found a machine: give it cores and the network."""
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
        self._dispatcher.crew.refused(worker, monotonic(), cause, died=died)

    def _dismiss(self, worker: int, cause: str) -> None:
        """End an actor and forget it."""
        self._warn(f"worker {worker} is replaced: {cause}")
        self._slots.give_back(worker)
        self._ray.kill(self._actors.pop(worker).handle)
        self._expected = {
            reference: other for reference, other in self._expected.items() if other.worker != worker
        }

    def _dismiss_overdue(self) -> None:
        limit = self._dispatcher.timeout
        for worker in self._dispatcher.overdue(monotonic()):
            cause = f"it did not answer within {limit:g} s (`task_timeout`)"
            self._dismiss(worker, cause)
            self._dispatcher.lost(worker, cause)
        for expected in list(self._expected.values()):
            placed = self._actors[expected.worker].placed
            if expected.kind == "ready" and placed is not None and monotonic() - placed > limit:
                self._refused(expected.worker, f"it was not ready within {limit:g} s (`task_timeout`)")

    def _keep_watch(self) -> None:
        """Report the pool's figures, and tell the user if no worker is there."""
        now = monotonic()
        if now - self._reported >= BEAT:
            self._reported = now
            self._count_time()
            self._watch(self._figures_now())
        if self._dispatcher.crew.ready:
            if self._noticed:
                self._warn(
                    f"{self._dispatcher.crew.ready} of {self._options.workers} workers are there; going on."
                )
            self._alone_since, self._noticed = now, False
        elif now - self._alone_since > NOTICE and not self._noticed and self._head.answers():
            self._noticed = True
            have = self._ray.cluster_resources()
            room = "" if fits(have, self._options) else f" {room_told(have, self._options)}"
            self._warn(f"waiting for workers: none of {self._options.workers} is there yet.{room}")

    def _count_time(self) -> None:
        now = monotonic()
        self._there += self._dispatcher.crew.ready * (now - self._counted_to)
        self._counted_to = now

    def _figures_now(self) -> PoolFigures:
        dispatcher = self._dispatcher
        utilisation = min(self._calls.useful / self._there, 1.0) if self._there > 0 else None
        return PoolFigures(
            dispatcher.crew.ready,
            dispatcher.crew.wanted,
            dispatcher.crew.replaced,
            dispatcher.in_flight,
            utilisation,
        )
