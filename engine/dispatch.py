"""Who works on what: the decisions of a pool, without workers, clocks or waiting.

The pool (:mod:`engine.pool`) tells what happened and when; the dispatcher answers what to start next. The
simulation in ``experiments/benchmarks`` asks the same dispatcher about clusters that are not at hand. A task
reads one shard of the data. Answers are keyed by task, so a task that is done twice does no harm
(at-least-once, as in MapReduce: Dean and Ghemawat, OSDI 2004; backup tasks near the end are theirs too).

Times are seconds on any clock that never goes back.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import takewhile

from engine.errors import BackendError, EvaluationError
from engine.task_times import TaskTimes

FAILURES = 3
"""Workers on which a task may raise before the run ends: it is the task, or all workers."""
DEATHS = 5
"""Workers that may die over a task. Higher, because machines also die of other causes."""
WORKER_FAILURES = 2
"""Tasks that may raise on a worker before it is replaced."""
REFUSALS = 3
"""Workers in a row that may fail to get ready, while none is ready, before the run ends."""
STILLBORN = 10
"""The same for workers that die before they are ready. Higher, because machines also die of other causes."""
LONGEST_BACKOFF = 60.0
"""Most seconds between two attempts to get a worker ready."""
COPIES = 2
"""Workers that may be at the same task."""


@dataclass(eq=False)
class Attempt:
    """A task on a worker. ``run`` tells it from those of earlier runs, whose answers no one waits for."""

    worker: int
    task: int
    shard: int
    run: int
    work: float
    started: float


@dataclass(eq=False)
class _Member:
    """A worker that is ready."""

    holds: set[int] = field(default_factory=set)
    failures: int = 0


class Dispatcher:
    """Workers, tasks and shards by number. Feed it events, then start what :meth:`assignments` names.

    Attributes:
        wanted: workers to keep.
        replaced: workers that were lost or sent away after they had been ready.
    """

    def __init__(self, wanted: int, task_timeout: float | None):
        """``task_timeout``: see :class:`engine.task_times.TaskTimes`."""
        self.wanted = wanted
        self.replaced = 0
        self._times = TaskTimes(task_timeout)
        self._members: dict[int, _Member] = {}
        self._starting: set[int] = set()
        self._next_worker = 0
        self._refusals = 0
        self._stillborn = 0
        self._hire_after = 0.0
        self._idle: dict[int, None] = {}
        # Oldest first, since every task has the same time to live.
        self._busy: dict[int, Attempt] = {}
        # What lies ready at workers for when they are through, so that they need not wait for the driver.
        self._queued: dict[int, Attempt] = {}
        self._run = 0
        self._work = 1.0
        self._reads: Sequence[int] = ()
        self._pending: dict[int, None] = {}
        # The pending tasks that read a shard.
        self._readers: defaultdict[int, dict[int, None]] = defaultdict(dict)
        self._missing: set[int] = set()
        self._copies: Counter[int] = Counter()
        self._failed_on: defaultdict[int, set[int]] = defaultdict(set)
        self._deaths: Counter[int] = Counter()

    # The crew.

    @property
    def ready(self) -> int:
        """Workers that could take a task, or are at one."""
        return len(self._members)

    @property
    def in_flight(self) -> int:
        """Tasks under way, those of earlier runs and copies included."""
        return len(self._busy) + len(self._queued)

    def hires(self, now: float) -> list[int]:
        """Numbers of new workers to start now. Each is announced by :meth:`joined` or :meth:`refused`."""
        if now < self._hire_after:
            return []
        new = []
        while len(self._members) + len(self._starting) < self.wanted:
            new.append(self._next_worker)
            self._starting.add(self._next_worker)
            self._next_worker += 1
        return new

    def joined(self, worker: int) -> None:
        """A new worker is ready."""
        self._starting.remove(worker)
        self._members[worker] = _Member()
        self._idle[worker] = None
        self._refusals = self._stillborn = 0

    def refused(self, worker: int, now: float, cause: str, *, died: bool = False) -> None:
        """A new worker failed to get ready, or ``died`` before it was.

        Raises:
            BackendError: so did the ones before it, and none is ready.
        """
        self._starting.remove(worker)
        if died:
            self._stillborn += 1
        else:
            self._refusals += 1
        if not self._members and (self._refusals >= REFUSALS or self._stillborn >= STILLBORN):
            raise BackendError(f"no worker gets ready, the last one because of: {cause}")
        self._hire_after = now + min(2.0 ** (self._refusals + self._stillborn - 1), LONGEST_BACKOFF)

    def forget_shards(self) -> None:
        """No worker holds any shard any more."""
        for member in self._members.values():
            member.holds.clear()

    # The work.

    def begin(self, reads: Sequence[int], work: float = 1.0) -> None:
        """A new run, of which task ``i`` reads shard ``reads[i]``; what is left of the last run is dropped.

        ``work``: of its largest task, above 0, in any unit; those of a run are about as large.
        """
        self._run += 1
        # What is under way still may have been more.
        self._work = max(self._work, work) if self.in_flight else work
        self._reads = reads
        self._pending.clear()
        self._readers.clear()
        self._missing = set(range(len(reads)))
        for task in range(len(reads)):
            self._enqueue(task)
        self._copies.clear()
        self._failed_on.clear()
        self._deaths.clear()

    @property
    def done(self) -> bool:
        """Whether each task of the run has an answer."""
        return not self._missing

    def assignments(self, now: float) -> list[Attempt]:
        """What to start now."""
        return [*self._first_copies(now), *self._ahead(now), *self._second_copies(now)]

    def answered(self, attempt: Attempt, now: float) -> int | None:
        """A worker is through: its task, if this answer is the first; None if it is not needed."""
        worker = attempt.worker
        self._free(attempt, now)
        self._times.add(now - attempt.started, attempt.work)
        if attempt.run != self._run:
            return None
        self._members[worker].holds.add(attempt.shard)
        if attempt.task not in self._missing:
            return None
        self._missing.remove(attempt.task)
        self._dequeue(attempt.task)
        return attempt.task

    def failed(self, attempt: Attempt, now: float, cause: str) -> bool:
        """A task raised; whether its worker has to be replaced (it is no longer counted on then).

        Raises:
            EvaluationError: the task failed on too many workers.
        """
        worker = attempt.worker
        self._free(attempt, now)
        member = self._members[worker]
        member.failures += 1
        if self._is_needed(attempt):
            self._failed_on[attempt.task].add(worker)
            trials = len(self._failed_on[attempt.task])
            self._again(attempt, trials, FAILURES, f"raised, the last time: {cause}")
        if member.failures < WORKER_FAILURES:
            return False
        following = self._withdraw(worker)
        if following is not None:
            self._hand_on(following)
        self._remove(worker)
        return True

    def lost(self, worker: int, cause: str) -> None:
        """A ready worker is dead, or was killed because it is :meth:`overdue`.

        Raises:
            EvaluationError: too many died over the same task.
        """
        attempt = self._withdraw(worker)
        self._remove(worker)
        if attempt is not None and self._is_needed(attempt):
            self._deaths[attempt.task] += 1
            self._again(attempt, self._deaths[attempt.task], DEATHS, f"ended the worker, the last time: {cause}")

    def overdue(self, now: float) -> list[int]:
        """Workers that do not answer in time: kill them, and call :meth:`lost`."""
        found = []
        for worker, task in self._busy.items():
            if now < self._due(task):
                break
            found.append(worker)
        return found

    @property
    def timeout(self) -> float:
        """Seconds after which a worker that does not answer counts as hung."""
        return self._times.timeout(self._work)

    def wake_at(self) -> float | None:
        """When to look again though nothing happens: a task comes due, or a worker may be hired."""
        times = []
        oldest = next(iter(self._busy.values()), None)
        if oldest is not None:
            times.append(self._due(oldest))
        if len(self._members) + len(self._starting) < self.wanted:
            times.append(self._hire_after)
        if self._idle and not self._pending:
            slow = next(self._stragglers(), None)
            if slow is not None:
                times.append(self._slow_from(slow))
        return min(times, default=None)

    def _first_copies(self, now: float) -> Iterator[Attempt]:
        for worker in list(self._idle) if self._pending else ():
            task = self._choice(worker)
            if task is not None:
                self._dequeue(task)
                yield self._start(worker, task, now)

    def _ahead(self, now: float) -> Iterator[Attempt]:
        """The tasks after those under way, as long as all workers will find more than that."""
        for worker in [worker for worker in self._busy if worker not in self._queued]:
            if len(self._pending) <= len(self._members):
                return
            task = self._choice(worker)
            if task is not None:
                self._dequeue(task)
                self._queued[worker] = self._attempt(worker, task, now)
                yield self._queued[worker]

    def _choice(self, worker: int) -> int | None:
        """What an idle worker does next."""
        # A shard that already lies on this worker's device needs no transfer.
        for shard in self._members[worker].holds:
            for task in self._readers.get(shard, ()):
                if worker not in self._failed_on.get(task, ()):
                    return task
        return next((task for task in self._pending if not self._better_elsewhere(task, worker)), None)

    def _better_elsewhere(self, task: int, worker: int) -> bool:
        """Whether the task failed here and a worker on which it did not can have it."""
        failed_on = self._failed_on.get(task, set())
        return worker in failed_on and any(other not in failed_on for other in self._members)

    def _second_copies(self, now: float) -> Iterator[Attempt]:
        if self._pending or not self._idle:
            return
        due = list(takewhile(lambda attempt: now >= self._slow_from(attempt), self._stragglers()))
        for slow in due:
            if not self._idle:
                return
            failed_on = self._failed_on.get(slow.task, ())
            worker = next((worker for worker in self._idle if worker not in failed_on), None)
            if worker is not None:
                yield self._start(worker, slow.task, now)

    def _stragglers(self) -> Iterator[Attempt]:
        """What a second worker might help with, oldest first."""
        for attempt in merge(self._busy.values(), self._queued.values(), key=lambda attempt: attempt.started):
            if self._is_needed(attempt) and self._copies[attempt.task] < COPIES:
                yield attempt

    def _due(self, attempt: Attempt) -> float:
        """When its worker counts as hung."""
        return attempt.started + self.timeout

    def _slow_from(self, attempt: Attempt) -> float:
        """When it counts as a straggler."""
        return attempt.started + self._times.slow(attempt.work)

    def _is_needed(self, attempt: Attempt) -> bool:
        return attempt.run == self._run and attempt.task in self._missing

    def _start(self, worker: int, task: int, now: float) -> Attempt:
        del self._idle[worker]
        self._busy[worker] = self._attempt(worker, task, now)
        return self._busy[worker]

    def _attempt(self, worker: int, task: int, now: float) -> Attempt:
        self._copies[task] += 1
        return Attempt(worker, task, self._reads[task], self._run, self._work, now)

    def _free(self, attempt: Attempt, now: float) -> None:
        """A worker is through with an attempt, whatever came of it, and goes on with the one that lies ready."""
        worker = attempt.worker
        self._forget(attempt)
        if self._busy[worker] is attempt:
            del self._busy[worker]
        following = self._queued.pop(worker, None)
        if following is attempt or following is None:
            # Answers come in order, but news of them need not.
            if worker not in self._busy:
                self._idle[worker] = None
            return
        following.started = now
        self._busy[worker] = following

    def _withdraw(self, worker: int) -> Attempt | None:
        """What a worker that is gone was at. What lay ready there is for others."""
        following = self._queued.pop(worker, None)
        if following is not None:
            self._forget(following)
            self._hand_on(following)
        attempt = self._busy.pop(worker, None)
        if attempt is not None:
            self._forget(attempt)
        return attempt

    def _forget(self, attempt: Attempt) -> None:
        if attempt.run == self._run:
            self._copies[attempt.task] -= 1

    def _remove(self, worker: int) -> None:
        del self._members[worker]
        self._idle.pop(worker, None)
        self.replaced += 1

    def _again(self, attempt: Attempt, trials: int, most: int, cause: str) -> None:
        """Give up on the run after too many trials, or leave the task to the next worker."""
        if trials >= most:
            raise EvaluationError(f"shard {attempt.shard} was given up: on {most} workers its evaluation {cause}")
        self._hand_on(attempt)

    def _hand_on(self, attempt: Attempt) -> None:
        """Leave a task to the next worker, unless a copy is under way."""
        if self._is_needed(attempt) and self._copies[attempt.task] == 0:
            self._enqueue(attempt.task)

    def _enqueue(self, task: int) -> None:
        self._pending[task] = None
        self._readers[self._reads[task]][task] = None

    def _dequeue(self, task: int) -> None:
        self._pending.pop(task, None)
        self._readers[self._reads[task]].pop(task, None)
