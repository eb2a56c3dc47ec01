"""Simulates a cluster in virtual time, with the decisions of :mod:`engine.cluster.tasks.dispatch`.

The driver is one server: each thing that it does (start a task, take an answer) keeps it busy for some time,
measured on a real pool. Workers differ in speed, die at random, and come back after a while.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from typing import Any

import numpy as np

from engine.cluster.tasks.attempt import Attempt
from engine.cluster.tasks.dispatch import Dispatcher


@dataclass(frozen=True)
class Cluster:
    """What is simulated. Times in seconds.

    ``spread``: sigma of the logarithm of the workers' speeds; ``jitter``: the same for single tasks.
    ``between_deaths``: mean time between two deaths of one worker. ``round_trip``: from the driver's dispatch
    to the beginning of a task, and again from its end to the driver.
    """

    workers: int
    spread: float = 0.2
    jitter: float = 0.1
    between_deaths: float = float("inf")
    restart: float = 20.0
    driver_per_event: float = 0.0007
    round_trip: float = 0.0005
    task_timeout: float | None = None


@dataclass
class Account:
    """What came of some runs. ``useful``: seconds of work whose answers were needed; ``driver``: seconds that
    the driver was busy with the pool; ``wall``: seconds in all; ``ready``: worker seconds at hand."""

    wall: float = 0.0
    useful: float = 0.0
    driver: float = 0.0
    ready: float = 0.0
    answers: dict[int, int] = field(default_factory=dict)

    @property
    def utilisation(self) -> float:
        """Share of the workers' time that went into answers that were needed."""
        return self.useful / self.ready


class SimulatedPool:
    """Runs tasks on a simulated cluster."""

    def __init__(self, cluster: Cluster, seed: int = 0):
        self.cluster = cluster
        self.dispatcher = Dispatcher(cluster.workers, cluster.task_timeout)
        self.account = Account()
        self._rng = np.random.default_rng(seed)
        self._now = 0.0
        self._driver_free = 0.0
        self._order = count()
        self._events: list[tuple[float, int, str, int, Any]] = []
        self._speed: dict[int, float] = {}
        self._worker_free: dict[int, float] = {}
        self._reads: list[int] = []
        self._seconds: list[float] = []
        # Seconds of the tasks that were begun ahead and have an answer, and the share needed of carried tasks.
        self._took: dict[int, float] = {}
        self._needed: dict[int, float] = {}
        self._hire(0.0)

    def begin_account(self) -> None:
        """Forget what was accounted for so far."""
        self.account = Account()

    def idle(self, seconds: float) -> None:
        """The driver does other things: it breeds, and writes its checkpoint."""
        self._pass(self._now + seconds)
        self._driver_free = max(self._driver_free, self._now)

    def run(
        self,
        reads: Sequence[int],
        seconds: Sequence[float],
        *,
        carried: Mapping[int, float] = MappingProxyType({}),
        ahead: int = 0,
    ) -> list[int]:
        """Tasks that take ``seconds`` each on a worker of mean speed; the last ``ahead`` may be begun ahead.

        ``carried``: tasks that the last run began ahead, and the share of each that is needed. Returns the tasks
        that this run began ahead.
        """
        first = len(reads) - ahead
        waiting = [task for task in carried if task not in self._took]
        self.account.useful += sum(share * self._took.get(task, 0.0) for task, share in carried.items())
        self._needed = {first + place: carried[task] for place, task in enumerate(waiting)}
        whole = [*reads[:first], *(self._reads[task] for task in waiting), *reads[first:]]
        self._seconds = [*seconds[:first], *(self._seconds[task] for task in waiting), *seconds[first:]]
        self._reads, self._took = whole, {}
        self.dispatcher.begin(whole, self._seconds, carried=waiting, ahead=ahead)
        self.account.answers = {}
        while not self.dispatcher.done:
            self._hire(self._now)
            for attempt in self.dispatcher.assignments(self._now):
                self._start(attempt, float(self._seconds[attempt.task]))
            self._step()
        return self.dispatcher.begun

    def _step(self) -> None:
        wake_at = self.dispatcher.wake_at()
        upcoming = self._events[0][0] if self._events else float("inf")
        if wake_at is not None and wake_at < upcoming:
            self._pass(max(wake_at, self._now))
        else:
            time, _, kind, worker, detail = heapq.heappop(self._events)
            # The driver takes it when it is free.
            self._pass(max(time, self._driver_free, self._now))
            self._happen(kind, worker, detail)
        for worker in self.dispatcher.overdue(self._now):
            self._gone(worker)
            self.dispatcher.lost(worker, "it does not answer")

    def _happen(self, kind: str, worker: int, detail: Any) -> None:
        if kind == "ready":
            self._drive()
            self.dispatcher.joined(worker)
            self._schedule_death(worker)
        elif worker not in self._speed:
            return
        elif kind == "death":
            self._drive()
            self._gone(worker)
            self.dispatcher.lost(worker, "it died")
        else:
            self._drive()
            attempt, took = detail
            task = self.dispatcher.answered(attempt, self._now)
            if task is not None:
                if task < self.dispatcher.first_ahead:
                    self.account.useful += took * self._needed.get(task, 1.0)
                else:
                    self._took[task] = took
                self.account.answers[task] = self.account.answers.get(task, 0) + 1

    def _start(self, attempt: Attempt, seconds: float) -> None:
        self._drive()
        took = seconds / self._speed[attempt.worker] * self._varied(self.cluster.jitter)
        # A task that was sent ahead begins as soon as the one before it is through.
        begin = max(self._driver_free + self.cluster.round_trip, self._worker_free.get(attempt.worker, 0.0))
        self._worker_free[attempt.worker] = begin + took
        self._add(begin + took + self.cluster.round_trip, "answer", attempt.worker, (attempt, took))

    def _hire(self, now: float) -> None:
        for worker in self.dispatcher.crew.hires(now):
            self._speed[worker] = self._varied(self.cluster.spread)
            # The first ones are there from the beginning.
            self._add(now + (self.cluster.restart if now > 0 else 0.0), "ready", worker, None)

    def _schedule_death(self, worker: int) -> None:
        if np.isfinite(self.cluster.between_deaths):
            time = self._now + self._rng.exponential(self.cluster.between_deaths)
            self._add(time, "death", worker, None)

    def _gone(self, worker: int) -> None:
        del self._speed[worker]

    def _varied(self, sigma: float) -> float:
        return float(np.exp(self._rng.normal(0.0, sigma)))

    def _drive(self) -> None:
        self._driver_free = max(self._driver_free, self._now) + self.cluster.driver_per_event
        self.account.driver += self.cluster.driver_per_event

    def _pass(self, time: float) -> None:
        self.account.ready += self.dispatcher.crew.ready * (time - self._now)
        self.account.wall += time - self._now
        self._now = time

    def _add(self, time: float, kind: str, worker: int, detail: Any) -> None:
        heapq.heappush(self._events, (time, next(self._order), kind, worker, detail))
