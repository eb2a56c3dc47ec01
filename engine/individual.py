"""A mask with its count and fitness, as DEAP's tools expect an individual.

Explicit classes instead of ``deap.creator``, which keeps its classes in module globals.
"""

from dataclasses import dataclass, field

import numpy as np
from deap import base


class ScoreFitness(base.Fitness):
    """One value to maximise."""

    weights = (1.0,)


@dataclass(eq=False)
class Individual:
    """One member of the population. ``mask``: ``bool[n_filters]``, read-only."""

    mask: np.ndarray
    correct: int
    fitness: ScoreFitness = field(default_factory=ScoreFitness)

    @property
    def score(self) -> float:
        """The number that the search maximises."""
        return float(self.fitness.values[0])


def individuals(masks: np.ndarray, correct: np.ndarray, scores: np.ndarray) -> list[Individual]:
    """One individual for each row of ``bool[n, f]``, with counts ``int64[n]`` and ``float64[n]``."""
    masks.setflags(write=False)
    return [
        Individual(mask, int(count), ScoreFitness((float(score),)))
        for mask, count, score in zip(masks, correct, scores, strict=True)
    ]
