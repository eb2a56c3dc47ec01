"""An individual as DEAP's tools expect it: a mask with its count and fitness.

The classes are explicit, because ``deap.creator`` keeps its classes in module globals.
"""

from dataclasses import dataclass, field

import numpy as np
from deap import base

from engine.contracts import Aims


class ScoreFitness(base.Fitness):
    """One score, to be maximised."""

    weights = (1.0,)


@dataclass(eq=False)
class Individual:
    """One member of a population.

    Attributes:
        mask: ``bool[f]``, read-only.
        correct: images that the mask gets right, or FAILED.
        fitness: holds the score.
        origins: ``uint8[f]``, the origin of each bit (:mod:`engine.search.ancestry`); None if not recorded.
        values: ``float64[m]``, see :class:`engine.contracts.Aims`; None in a search for BEST alone.
        excess: see :class:`engine.contracts.Aims`.
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
        """This individual, with arrays of its own: views would keep the arrays of a whole brood in memory."""
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
    """One individual for each mask.

    The individuals hold views of these arrays; survivors must be :meth:`Individual.detached`.

    Args:
        masks: ``bool[n, f]``; becomes read-only.
        correct: ``int64[n]``.
        scores: ``float64[n]``.
        origins: ``uint8[n, f]``; None if not recorded.
        aims: of the ``n`` masks, in a search for a front.
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
