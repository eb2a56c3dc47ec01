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
    """Counts generations without progress of the front's hypervolume or, without a front, of BEST's score."""

    def __init__(self, generations: int, rows: Iterable[Mapping[str, Any]] = ()):
        """``generations``: after so many it is exhausted, 0 for never; ``rows``: of the journal so far."""
        self._limit = generations
        self._best: float | None = None
        self._since = self._now = 0
        for row in rows:
            self._see(row["generation"], row["front"]["hypervolume"] if "front" in row else row["best"]["score"])

    def see(self, state: SearchState) -> None:
        """Take note of a generation."""
        value = state.best.individual.score if state.front is None else state.front.hypervolume()
        self._see(state.generation, value)

    @property
    def exhausted(self) -> bool:
        """Whether the search may end."""
        return 0 < self._limit <= self._now - self._since

    def _see(self, generation: int, value: float) -> None:
        self._now = generation
        if self._best is None or value > self._best + LEAST * abs(self._best):
            self._best, self._since = value, generation
