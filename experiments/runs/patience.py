"""Patience: ends a search that has gained less than a thousandth for some generations."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from engine.errors import OptionError
from engine.search.state import SearchState

LEAST = 1e-3
"""A value makes progress if it exceeds the value at the last progress by more than this share."""


def check_patience(generations: int) -> None:
    """Refuse a negative number.

    Raises:
        OptionError: it is one.
    """
    if generations < 0:
        raise OptionError(f"`patience` must be 1 or more generations, or 0 for no end to it, not {generations}.")


class Patience:
    """Counts generations in which neither the score nor, in a search for a front, the hypervolume grew.

    The score is BEST's. In a search that goes beyond the threshold it is the highest of the population, and a new
    reach begins a new count.
    """

    def __init__(self, generations: int, rows: Iterable[Mapping[str, Any]] = ()):
        """``generations``: without progress before it is exhausted, 0 for never; ``rows``: the journal so far."""
        self._limit = generations
        self._best: list[float] = []
        self._reach: float | None = None
        self._since = self._now = 0
        for row in rows:
            front = [row["front"]["hypervolume"]] if "front" in row else []
            score, reach = row["best"]["score"], row.get("reach")
            if reach is not None and row["population"]["highest_score"] is not None:
                score = row["population"]["highest_score"]
            self._see(row["generation"], [score, *front], reach)

    def see(self, state: SearchState) -> None:
        """Take note of a generation."""
        front = [] if state.front is None else [state.front.hypervolume()]
        score = state.best.individual.score
        if state.reach is not None:
            score = max((each.score for each in state.population if isfinite(each.score)), default=score)
        self._see(state.generation, [score, *front], state.reach)

    @property
    def exhausted(self) -> bool:
        """Whether the search may end."""
        return 0 < self._limit <= self._now - self._since

    def _see(self, generation: int, values: list[float], reach: float | None) -> None:
        self._now = generation
        if not self._best or reach != self._reach:
            # The first generation, or scores that cannot be compared with earlier ones.
            self._best, self._reach, self._since = values, reach, generation
            return
        better = [value > best + LEAST * abs(best) for value, best in zip(values, self._best, strict=True)]
        if any(better):
            self._since = generation
        self._best = [value if up else best for value, best, up in zip(values, self._best, better, strict=True)]
