"""BEST: the best feasible individual of a search so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.contracts import Appraisal
from engine.layout import mask_sha256
from engine.search.ancestry import ancestry
from engine.search.individual import Individual


@dataclass
class Best:
    """The best feasible individual so far.

    Attributes:
        individual: its mask, count and score.
        figures: further numbers for people.
        ancestry: see :func:`engine.search.ancestry.ancestry`; None if origins are not recorded.
    """

    individual: Individual
    figures: dict[str, float | int]
    ancestry: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Score, figures, count, the SHA-256 of the mask, and its ancestry if recorded."""
        return {
            "score": self.individual.score,
            **self.figures,
            "correct": self.individual.correct,
            "sha256": mask_sha256(self.individual.mask),
            **({} if self.ancestry is None else {"ancestry": self.ancestry}),
        }


def best_of(candidates: list[Individual], appraisal: Appraisal, row: int, origins: Sequence[str] = ()) -> Best:
    """The candidate in row ``row`` as BEST; ``origins`` are the names of the search's origins."""
    figures = {name: values[row].item() for name, values in appraisal.figures.items()}
    return Best(candidates[row].detached(), figures, ancestry(candidates[row], origins))


def outranks(best: Individual, appraisal: Appraisal, correct: np.ndarray) -> np.ndarray:
    """``bool[n]``: which masks, with counts ``int64[n]``, would take the place of BEST.

    Such a mask is feasible and has a higher score, or the same score and more correct images.
    """
    level = (appraisal.score == best.score) & (correct > best.correct)
    return np.asarray(appraisal.feasible & ((appraisal.score > best.score) | level))


def better(best: Best, newcomers: list[Individual], appraisal: Appraisal, origins: Sequence[str] = ()) -> Best:
    """BEST after these newcomers: the best feasible individual by score, then by correct images."""
    for row in np.flatnonzero(appraisal.feasible):
        rival = newcomers[row]
        champion = best.individual
        if (rival.score, rival.correct) > (champion.score, champion.correct):
            best = best_of(newcomers, appraisal, int(row), origins)
    return best
