"""How long tasks take of late, and from that what is unusually slow and what has hung. Times are in seconds."""

from collections import deque
from functools import cached_property
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
    """The last durations of tasks.

    Args:
        task_timeout: when a worker that does not answer counts as hung. None follows the tasks:
            :data:`PATIENCE` times the longest of late, :data:`SHORTEST_TIMEOUT` at least, and
            :data:`FIRST_TIMEOUT` before the first answer.
    """

    def __init__(self, task_timeout: float | None):
        self._task_timeout = task_timeout
        self._durations: deque[float] = deque(maxlen=OF_LATE)

    def add(self, duration: float) -> None:
        """A task was answered."""
        self._durations.append(duration)
        # They are asked for at each look of the pool, and change only here.
        self.__dict__.pop("slow", None)
        self.__dict__.pop("timeout", None)

    @cached_property
    def slow(self) -> float:
        """From when on a task counts as a straggler; without end as long as nothing is known."""
        return STRAGGLER * median(self._durations) if self._durations else float("inf")

    @cached_property
    def timeout(self) -> float:
        """From when on a worker that does not answer counts as hung."""
        if self._task_timeout is not None:
            return self._task_timeout
        if not self._durations:
            return FIRST_TIMEOUT
        return max(PATIENCE * max(self._durations), SHORTEST_TIMEOUT)
