"""Early stopping: how long a search has found nothing better that is worth mentioning."""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.errors import OptionError
from engine.state import SearchState

LEAST = 1e-3
"""Progress is to be better than at the last progress by this share."""


def check_patience(generations: int) -> None:
    """Refuse a negative number.

    Raises:
        OptionError: it is one.
    """
    if generations < 0:
        raise OptionError(f"--patience must be 1 or more generations, or 0 for no end to it, not {generations}.")


class Patience:
    """Counts generations without progress of BEST's score nor, of a search for a front, of its hypervolume."""

    def __init__(self, generations: int, rows: Iterable[Mapping[str, Any]] = ()):
        """``generations``: after so many it is exhausted, 0 for never; ``rows``: of the journal so far."""
        self._limit = generations
        self._best: list[float] = []
        self._since = self._now = 0
        for row in rows:
            front = [row["front"]["hypervolume"]] if "front" in row else []
            self._see(row["generation"], [row["best"]["score"], *front])

    def see(self, state: SearchState) -> None:
        """Take note of a generation."""
        front = [] if state.front is None else [state.front.hypervolume()]
        self._see(state.generation, [state.best.individual.score, *front])

    @property
    def exhausted(self) -> bool:
        """Whether the search may end."""
        return 0 < self._limit <= self._now - self._since

    def _see(self, generation: int, values: list[float]) -> None:
        self._now = generation
        self._best = self._best or values
        better = [value > best + LEAST * abs(best) for value, best in zip(values, self._best, strict=True)]
        if any(better):
            self._since = generation
        self._best = [value if up else best for value, best, up in zip(values, self._best, better, strict=True)]
