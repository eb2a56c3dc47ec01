"""BEST: the best feasible individual of a search so far, and who takes its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.ancestry import ancestry
from engine.contracts import Appraisal
from engine.individual import Individual
from engine.layout import mask_sha256


@dataclass
class Best:
    """The best feasible individual so far, with its figures for people.

    ``ancestry``: see :func:`engine.ancestry.ancestry`.
    """

    individual: Individual
    figures: dict[str, float | int]
    ancestry: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Score, figures, count and the name of the mask; its ancestry where it is known."""
        return {
            "score": self.individual.score,
            **self.figures,
            "correct": self.individual.correct,
            "sha256": mask_sha256(self.individual.mask),
            **({} if self.ancestry is None else {"ancestry": self.ancestry}),
        }


def best_of(candidates: list[Individual], appraisal: Appraisal, row: int, origins: Sequence[str] = ()) -> Best:
    """One of the candidates as BEST; ``origins`` are the names of the search's origins."""
    figures = {name: values[row].item() for name, values in appraisal.figures.items()}
    return Best(candidates[row].detached(), figures, ancestry(candidates[row], origins))


def better(best: Best, newcomers: list[Individual], appraisal: Appraisal, origins: Sequence[str] = ()) -> Best:
    """BEST after these newcomers: feasible, and higher in score or, at equal score, in accuracy."""
    for row in np.flatnonzero(appraisal.feasible):
        rival = newcomers[row]
        champion = best.individual
        if (rival.score, rival.correct) > (champion.score, champion.correct):
            best = best_of(newcomers, appraisal, int(row), origins)
    return best
