"""Dispatch of tasks to workers: the decisions of a pool, without workers, clocks or waiting.

The pool (:mod:`engine.cluster.pool`) reports events and their times, and the dispatcher decides what to start
next. The simulation in ``experiments/benchmarks`` asks the same dispatcher about larger clusters. A task reads
one shard of the data. Answers are keyed by task, so doing a task twice does no harm. At-least-once execution and
backup tasks for stragglers are those of MapReduce: Dean and Ghemawat, OSDI 2004.

Besides its own tasks a batch may name tasks ahead, which the next batch will probably need. Workers begin them
when no task of the batch waits any more. The batch does not wait for them, and their failure does no harm.

Times are seconds on any monotonic clock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from heapq import merge

from engine.cluster.crew import Crew
from engine.cluster.tasks.attempt import Attempt
from engine.cluster.tasks.task_queue import TaskQueue
from engine.cluster.tasks.task_times import TaskTimes
from engine.errors import EvaluationError

FAILURES = 3
"""Workers on which a task may raise before the search ends: the task is at fault, or all workers are."""
DEATHS = 5
"""Workers that may die over a task before the search ends; more, because machines also die of other causes."""
WORKER_FAILURES = 2
"""Tasks that may raise on a worker before it is replaced."""
COPIES = 2
"""Most workers at the same task."""


class Dispatcher:
    """Knows workers, tasks and shards by number. Report events, then start what :meth:`assignments` returns.

    Attributes:
        crew: the workers that there are; ask it for new workers to start.
        first_ahead: the first task that the batch does not wait for.
    """

    def __init__(self, wanted: int, task_timeout: float | None):
        """``wanted``: workers to keep; ``task_timeout``: see :class:`TaskTimes`."""
        self.crew = Crew(wanted)
        self._times = TaskTimes(task_timeout)
        self._idle: dict[int, None] = {}
        # Oldest first, because all tasks have the same timeout.
        self._busy: dict[int, Attempt] = {}
        # The next task of each busy worker, sent early so that the worker need not wait for the driver.
        self._queued: dict[int, Attempt] = {}
        self._batch = 0
        self._works: Sequence[float] = ()
        # The largest work of the batch, and of what was under way when it began.
        self._most_work = 1.0
        self._reads: Sequence[int] = ()
        self._pending = TaskQueue()
        # The tasks that the batch does not wait for.
        self._ahead = TaskQueue()
        self.first_ahead = 0
        self._missing: set[int] = set()
        self._unanswered = 0
        self._copies: Counter[int] = Counter()
        self._failed_on: defaultdict[int, set[int]] = defaultdict(set)
        self._deaths: Counter[int] = Counter()

    # Workers.

    @property
    def in_flight(self) -> int:
        """Tasks under way, including copies and tasks of earlier batches."""
        return len(self._busy) + len(self._queued)

    def joined(self, worker: int) -> None:
        """A new worker is ready."""
        self.crew.joined(worker)
        self._idle[worker] = None

    # Tasks.

    def begin(
        self,
        reads: Sequence[int],
        works: Sequence[float] | None = None,
        *,
        carried: Sequence[int] = (),
        ahead: int = 0,
    ) -> None:
        """Begin a batch whose task ``i`` reads shard ``reads[i]``, and drop the rest of the last batch.

        Args:
            reads: first of the new tasks, then of ``carried``, then of the tasks that may be begun ahead.
            works: amount of work in each task, above 0, in any unit; 1 if None.
            carried: tasks that the last batch began ahead and that have no answer yet, by their numbers there.
            ahead: number of tasks at the end that the batch does not wait for.
        """
        self._works = [1.0] * len(reads) if works is None else works
        under_way = [attempt.work for attempt in (*self._busy.values(), *self._queued.values())]
        self._most_work = max([*self._works, *under_way], default=1.0)
        self._reads = reads
        self.first_ahead = len(reads) - ahead
        self._pending.clear()
        self._ahead.clear()
        self._missing = set(range(len(reads)))
        self._unanswered = self.first_ahead
        self._carry(carried, self.first_ahead - len(carried))
        for task in range(len(reads)):
            if self._copies[task] == 0:
                self._enqueue(task)

    def _carry(self, tasks: Sequence[int], first: int) -> None:
        """Give tasks that are under way the numbers from ``first`` on in a new batch."""
        numbers = {task: first + place for place, task in enumerate(tasks)}
        # A task ahead that failed is forgotten, so what is carried on has no failures.
        self._copies.clear()
        self._failed_on.clear()
        self._deaths.clear()
        for attempt in (*self._busy.values(), *self._queued.values()):
            if attempt.batch == self._batch and attempt.task in numbers:
                attempt.task, attempt.batch = numbers[attempt.task], self._batch + 1
                self._copies[attempt.task] += 1
        self._batch += 1

    @property
    def done(self) -> bool:
        """Whether every task of the batch that is not ahead has an answer."""
        return self._unanswered == 0

    @property
    def begun(self) -> list[int]:
        """The tasks ahead that have an answer or are at a worker."""
        ahead = range(self.first_ahead, len(self._reads))
        return [task for task in ahead if task not in self._missing or self._copies[task] > 0]

    def assignments(self, now: float) -> list[Attempt]:
        """The attempts to start now."""
        found = [*self._first_copies(now, self._pending), *self._lined_up(now), *self._second_copies(now)]
        return [*found, *self._first_copies(now, self._ahead)]

    def answered(self, attempt: Attempt, now: float) -> int | None:
        """A worker has answered: return its task if this answer is the first, else None."""
        worker = attempt.worker
        self._free(attempt, now)
        if attempt.batch != self._batch:
            # Nobody looked while no batch was under way, so the time would be too long.
            return None
        self._times.add(now - attempt.started, attempt.work)
        self.crew.members[worker].holds.add(attempt.shard)
        if attempt.task not in self._missing:
            return None
        self._missing.remove(attempt.task)
        self._unanswered -= attempt.task < self.first_ahead
        self._dequeue(attempt.task)
        return attempt.task

    def failed(self, attempt: Attempt, now: float, cause: str) -> bool:
        """A task raised: whether its worker must be replaced. The dispatcher has then forgotten the worker.

        Raises:
            EvaluationError: the task failed on too many workers.
        """
        worker = attempt.worker
        self._free(attempt, now)
        member = self.crew.members[worker]
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
        """A ready worker has died, or was killed because it was :meth:`overdue`.

        Raises:
            EvaluationError: too many workers died over the same task.
        """
        attempt = self._withdraw(worker)
        self._remove(worker)
        if attempt is not None and self._is_needed(attempt):
            self._deaths[attempt.task] += 1
            self._again(attempt, self._deaths[attempt.task], DEATHS, f"ended the worker, the last time: {cause}")

    def overdue(self, now: float) -> list[int]:
        """Workers that did not answer in time: kill them and report them with :meth:`lost`."""
        found = []
        for worker, task in self._busy.items():
            if now < self._due(task):
                break
            found.append(worker)
        return found

    @property
    def timeout(self) -> float:
        """Seconds after which a worker that does not answer counts as hung."""
        return self._times.timeout(self._most_work)

    def wake_at(self) -> float | None:
        """The next time at which a task comes due or a worker may be hired; None if there is none."""
        times = []
        oldest = next(iter(self._busy.values()), None)
        if oldest is not None:
            times.append(self._due(oldest))
        hire = self.crew.next_hire()
        if hire is not None:
            times.append(hire)
        if self._idle and not self._pending:
            times += map(self._slow_from, self._stragglers())
        return min(times, default=None)

    def _first_copies(self, now: float, queue: TaskQueue) -> Iterator[Attempt]:
        for worker in list(self._idle) if queue else ():
            task = self._choice(worker, queue)
            if task is not None:
                self._dequeue(task)
                yield self._start(worker, task, now)

    def _lined_up(self, now: float) -> Iterator[Attempt]:
        """A next task for each busy worker, while more tasks are pending than there are workers."""
        for worker in [worker for worker in self._busy if worker not in self._queued]:
            if len(self._pending) <= len(self.crew.members):
                return
            task = self._choice(worker, self._pending)
            if task is not None:
                self._dequeue(task)
                self._queued[worker] = self._attempt(worker, task, now)
                yield self._queued[worker]

    def _choice(self, worker: int, queue: TaskQueue) -> int | None:
        """The next task of a worker."""
        # A shard that the worker holds needs no transfer.
        held = self.crew.members[worker].holds
        return queue.choice(held, lambda task: not self._better_elsewhere(task, worker))

    def _better_elsewhere(self, task: int, worker: int) -> bool:
        """Whether the task failed on this worker and there is a worker on which it did not."""
        failed_on = self._failed_on.get(task, set())
        return worker in failed_on and any(other not in failed_on for other in self.crew.members)

    def _second_copies(self, now: float) -> Iterator[Attempt]:
        if self._pending or not self._idle:
            return
        for slow in [attempt for attempt in self._stragglers() if now >= self._slow_from(attempt)]:
            if not self._idle:
                return
            failed_on = self._failed_on.get(slow.task, ())
            worker = next((worker for worker in self._idle if worker not in failed_on), None)
            if worker is not None:
                yield self._start(worker, slow.task, now)

    def _stragglers(self) -> Iterator[Attempt]:
        """Attempts that a second worker may double, oldest first."""
        for attempt in merge(self._busy.values(), self._queued.values(), key=lambda attempt: attempt.started):
            awaited = self._is_needed(attempt) and attempt.task < self.first_ahead
            if awaited and self._copies[attempt.task] < COPIES:
                yield attempt

    def _due(self, attempt: Attempt) -> float:
        """When the worker counts as hung."""
        return attempt.started + self.timeout

    def _slow_from(self, attempt: Attempt) -> float:
        """When the attempt counts as a straggler."""
        return attempt.started + self._times.slow(attempt.work)

    def _is_needed(self, attempt: Attempt) -> bool:
        return attempt.batch == self._batch and attempt.task in self._missing

    def _start(self, worker: int, task: int, now: float) -> Attempt:
        del self._idle[worker]
        self._busy[worker] = self._attempt(worker, task, now)
        return self._busy[worker]

    def _attempt(self, worker: int, task: int, now: float) -> Attempt:
        self._copies[task] += 1
        return Attempt(worker, task, self._reads[task], self._batch, self._works[task], now)

    def _free(self, attempt: Attempt, now: float) -> None:
        """A worker has ended an attempt, and goes on with its next one."""
        worker = attempt.worker
        self._forget(attempt)
        if self._busy[worker] is attempt:
            del self._busy[worker]
        following = self._queued.pop(worker, None)
        if following is attempt or following is None:
            # Answers come in order, but reports of them need not.
            if worker not in self._busy:
                self._idle[worker] = None
            return
        following.started = now
        self._busy[worker] = following

    def _withdraw(self, worker: int) -> Attempt | None:
        """The attempt of a worker that is gone; its next task goes back to the others."""
        following = self._queued.pop(worker, None)
        if following is not None:
            self._forget(following)
            self._hand_on(following)
        attempt = self._busy.pop(worker, None)
        if attempt is not None:
            self._forget(attempt)
        return attempt

    def _forget(self, attempt: Attempt) -> None:
        if attempt.batch == self._batch:
            self._copies[attempt.task] -= 1

    def _remove(self, worker: int) -> None:
        self.crew.remove(worker)
        self._idle.pop(worker, None)

    def _again(self, attempt: Attempt, trials: int, most: int, cause: str) -> None:
        """Leave a task to the next worker, or give up after too many trials; forget a task ahead at once."""
        if attempt.task >= self.first_ahead:
            return
        if trials >= most:
            raise EvaluationError(f"shard {attempt.shard} was given up: on {most} workers its evaluation {cause}")
        self._hand_on(attempt)

    def _hand_on(self, attempt: Attempt) -> None:
        """Leave a task to the next worker unless a copy is under way."""
        if self._is_needed(attempt) and self._copies[attempt.task] == 0:
            self._enqueue(attempt.task)

    def _enqueue(self, task: int) -> None:
        queue = self._pending if task < self.first_ahead else self._ahead
        queue.put(task, self._reads[task])

    def _dequeue(self, task: int) -> None:
        self._pending.remove(task)
        self._ahead.remove(task)
