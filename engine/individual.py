"""A mask with its count and fitness, as DEAP's tools expect an individual.

Explicit classes instead of ``deap.creator``, which keeps its classes in module globals.
"""

from dataclasses import dataclass, field

import numpy as np
from deap import base

from engine.contracts import Aims


class ScoreFitness(base.Fitness):
    """One value to maximise."""

    weights = (1.0,)


@dataclass(eq=False)
class Individual:
    """One member of the population. ``mask``: ``bool[n_filters]``, read-only.

    ``origins``: ``uint8[n_filters]``, where each bit comes from (:mod:`engine.ancestry`); None if not kept.
    ``values``, ``float64[m]``, and ``excess``: its aims (:class:`engine.contracts.Aims`) in a search for a front.
    """

    mask: np.ndarray
    correct: int
    fitness: ScoreFitness = field(default_factory=ScoreFitness)
    origins: np.ndarray | None = None
    values: np.ndarray | None = None
    excess: float = 0.0

    @property
    def score(self) -> float:
        """The number that the search maximises."""
        return float(self.fitness.values[0])

    def detached(self) -> "Individual":
        """Itself, with arrays of its own: rows of a brood's would keep the whole brood in memory."""
        self.mask = _own(self.mask)
        self.mask.setflags(write=False)
        self.origins = None if self.origins is None else _own(self.origins)
        self.values = None if self.values is None else _own(self.values)
        return self


def individuals(
    masks: np.ndarray,
    correct: np.ndarray,
    scores: np.ndarray,
    origins: np.ndarray | None = None,
    aims: Aims | None = None,
) -> list[Individual]:
    """One individual for each row of ``bool[n, f]``, with counts ``int64[n]`` and ``float64[n]``.

    ``origins``: ``uint8[n, f]``, or None where they are not kept. Their arrays are views of these; whoever is to
    outlive the others is :meth:`Individual.detached`.
    """
    masks.setflags(write=False)
    each = [None] * len(masks) if origins is None else origins
    found = [
        Individual(mask, int(count), ScoreFitness((float(score),)), origin)
        for mask, count, score, origin in zip(masks, correct, scores, each, strict=True)
    ]
    if aims is not None:
        for individual, values, excess in zip(found, aims.values, aims.excess, strict=True):
            individual.values, individual.excess = values, float(excess)
    return found


def _own(array: np.ndarray) -> np.ndarray:
    return array if array.base is None else array.copy()
