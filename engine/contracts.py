"""The contracts between the engine and its users: an evaluator counts, an objective scores, founders build masks.

Shapes: ``n`` masks, ``f`` filters. Masks are ``bool``, True = keep.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

FAILED = -1
"""The count of a mask whose network answered NaN or infinity."""

STOPPED = -2
"""In place of the count of a mask whose evaluation was stopped early."""


class Target(NamedTuple):
    """The counts with which ``n`` masks still matter.

    ``needed``: ``int64[n]``, the fewest correct images with which the mask matters, 0 to ``total``;
    ``total + 1`` for a mask that cannot matter and need not be evaluated. ``risk``: ``float64[n]``, the allowed
    probability of stopping a mask that would have mattered; 0 allows stopping only where the outcome is certain.
    """

    needed: np.ndarray
    risk: np.ndarray

    def rows(self, index: np.ndarray) -> "Target":
        """The target of some of the masks."""
        return Target(self.needed[index], self.risk[index])


class Evaluator(Protocol):
    """Counts the images that a masked network gets right."""

    total: int
    """Number of images that every mask is evaluated on."""

    def evaluate(self, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
        """``bool[n, f]`` -> ``int64[n]``: correct images, 0 to ``total``, or :data:`FAILED`.

        The count of a mask depends on this mask alone. With a target, the answer for a mask may be
        :data:`STOPPED` instead, if the mask will not reach its needed count, for certain or up to its risk
        (:mod:`engine.search.stopping`). Which masks are stopped depends on the masks, the images, the target and
        the batch size, and never on workers or time.
        """
        ...


class Aims(NamedTuple):
    """The values that a search for a front compares ``n`` masks by.

    ``values``: ``float64[n, m]``, each to be maximised. A value is a share: 0 where interest begins, 1 the best
    conceivable. ``excess``: ``float64[n]``, how far a mask is beyond the objective's limit: 0 within the limit,
    inf for failed masks, whose values mean nothing.
    """

    values: np.ndarray
    excess: np.ndarray


@dataclass(frozen=True)
class Appraisal:
    """An objective's judgement of ``n`` masks.

    Attributes:
        score: ``float64[n]``, higher is better, -inf for failed masks.
        feasible: ``bool[n]``, whether the mask may become BEST.
        figures: further numbers for people, name -> array of length ``n``.
        aims: values to compare by in a search for a front.
    """

    score: np.ndarray
    feasible: np.ndarray
    figures: dict[str, np.ndarray]
    aims: Aims | None = None


class Objective(Protocol):
    """Turns masks and their counts into scores."""

    @property
    def monotone(self) -> bool:
        """Whether more correct images never lower a mask's score and never end its feasibility.

        Early stopping needs this. Return False if in doubt.
        """
        ...

    def appraise(self, masks: np.ndarray, correct: np.ndarray, original_correct: int) -> Appraisal:
        """Judge masks by their counts.

        Args:
            masks: ``bool[n, f]``; ``n`` may be 0.
            correct: ``int64[n]``, counts or :data:`FAILED`, never :data:`STOPPED`.
            original_correct: count of the unpruned network.
        """
        ...


class Founders(Protocol):
    """Builds initial populations and records where each mask came from."""

    origins: tuple[str, ...]
    """Names of the origins, for people; at most 100."""

    def __call__(self, rng: np.random.Generator, evaluator: Evaluator) -> tuple[np.ndarray, np.ndarray]:
        """The initial masks of one island and the origin of each.

        Args:
            rng: the island's generator.
            evaluator: evaluates masks in full; these evaluations count as evaluations of the search.

        Returns:
            ``bool[n, f]``, no layer empty, and ``uint8[n]``, indices into ``origins``; ``n`` is the setting
            ``population``.
        """
        ...
