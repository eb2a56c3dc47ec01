"""How long tasks take of late, and from that what is unusually slow and what has hung. Times are in seconds."""

from collections import deque
from collections.abc import Callable
from statistics import median

STRAGGLER = 2.0
"""A task that takes this many times the median is given to a second worker, if one is idle."""
PATIENCE = 20.0
"""A worker may take this many times the longest task of late before it counts as hung."""
SHORTEST_TIMEOUT = 300.0
"""Compilation and a cold start fit in."""
FIRST_TIMEOUT = 3600.0
"""While no task has been answered yet."""
OF_LATE = 200
"""Tasks that are remembered."""


class TaskTimes:
    """The last durations of tasks, and how much work each was.

    Work is in any unit. A task of more work may take longer in proportion; one of less may take as long, as what
    does not depend on it may be most.

    Args:
        task_timeout: when a worker that does not answer counts as hung. None follows the tasks:
            :data:`PATIENCE` times the longest of late, :data:`SHORTEST_TIMEOUT` at least, and
            :data:`FIRST_TIMEOUT` before the first answer.
    """

    def __init__(self, task_timeout: float | None):
        self._task_timeout = task_timeout
        self._durations: deque[tuple[float, float]] = deque(maxlen=OF_LATE)
        self._known: dict[tuple[str, float], float] = {}

    def add(self, duration: float, work: float) -> None:
        """A task was answered."""
        self._durations.append((duration, work))
        # Both are asked for at each look of the pool, and change only here.
        self._known.clear()

    def slow(self, work: float) -> float:
        """From when on a task counts as a straggler; without end as long as nothing is known."""
        if not self._durations:
            return float("inf")
        return STRAGGLER * self._remembered("usual", work, median)

    def timeout(self, work: float) -> float:
        """From when on a worker that does not answer counts as hung."""
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
