"""Durations of recent tasks, in seconds, and from them when a task is slow and when a worker has hung."""

from collections import deque
from collections.abc import Callable
from statistics import median

STRAGGLER = 2.0
"""A task that takes this many times the median is a straggler, which an idle worker doubles."""
PATIENCE = 20.0
"""A worker may take this many times the longest recent task before it counts as hung."""
SHORTEST_TIMEOUT = 300.0
"""Least timeout; covers compilation and a cold start."""
FIRST_TIMEOUT = 3600.0
"""Timeout before the first answer."""
OF_LATE = 200
"""Number of tasks that count as recent."""


class TaskTimes:
    """The durations of recent tasks, and the amount of work in each, in any unit.

    A task with more work may take longer in proportion. A task with less work may take as long, because most of
    the time may not depend on the work.

    Args:
        task_timeout: seconds after which a worker that does not answer counts as hung. None follows the tasks:
            :data:`PATIENCE` times the longest recent task, at least :data:`SHORTEST_TIMEOUT`, and
            :data:`FIRST_TIMEOUT` before the first answer.
    """

    def __init__(self, task_timeout: float | None):
        self._task_timeout = task_timeout
        self._durations: deque[tuple[float, float]] = deque(maxlen=OF_LATE)
        self._known: dict[tuple[str, float], float] = {}

    def add(self, duration: float, work: float) -> None:
        """Record an answered task."""
        self._durations.append((duration, work))
        # The pool asks for both at each look, and they change only here.
        self._known.clear()

    def slow(self, work: float) -> float:
        """Seconds after which a task is a straggler; inf before the first answer."""
        if not self._durations:
            return float("inf")
        return STRAGGLER * self._remembered("usual", work, median)

    def timeout(self, work: float) -> float:
        """Seconds after which a worker that does not answer counts as hung."""
        if self._task_timeout is not None:
            return self._task_timeout
        if not self._durations:
            return FIRST_TIMEOUT
        return max(PATIENCE * self._remembered("longest", work, max), SHORTEST_TIMEOUT)

    def _remembered(self, name: str, work: float, compute: Callable[[list[float]], float]) -> float:
        if (name, work) not in self._known:
            expected = [duration * max(1.0, work / done) for duration, done in self._durations]
            self._known[name, work] = compute(expected)
        return self._known[name, work]
