"""What the engine asks of the rest: an evaluator that counts, an objective that judges, founders if one likes.

Shapes: ``n`` masks, ``f`` filters. Masks are ``bool``, True = keep.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

FAILED = -1
"""The count of a mask whose evaluation failed: its network answered NaN or infinity."""

STOPPED = -2
"""The count of a mask whose evaluation was stopped because it could no longer matter: no count at all."""


class Target(NamedTuple):
    """What makes it worth finishing the evaluation of each of ``n`` masks.

    ``needed``: ``int64[n]``, the fewest correct images with which the mask still matters, 0 to ``total``;
    ``total + 1`` where no count would do, so that it need not be evaluated at all. ``risk``: ``float64[n]``,
    the probability of error that is allowed for stopping the mask on a statistical bound; 0 allows only
    what is certain.
    """

    needed: np.ndarray
    risk: np.ndarray

    def rows(self, index: np.ndarray) -> "Target":
        """The target of some of the masks."""
        return Target(self.needed[index], self.risk[index])


class Evaluator(Protocol):
    """Counts the images that a masked network gets right."""

    total: int
    """Images that every mask is evaluated on."""

    def evaluate(self, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
        """``bool[n, f]`` -> ``int64[n]``: correct images, 0 to ``total``, or :data:`FAILED`.

        The count of a mask depends on that mask alone. With a target, a mask may be :data:`STOPPED` instead
        if it will not reach what it needs, for certain or up to its risk (:mod:`engine.racing`). Whether it
        is depends on the masks, the images, the target and the batch size; never on workers or on time.
        """
        ...


class Aims(NamedTuple):
    """What ``n`` masks are compared by in a search for a front.

    ``values``: ``float64[n, m]``, each to be maximised, as shares: 0 where it begins to be of interest, 1 the
    most that one can ask for. ``excess``: ``float64[n]``, how far a mask is beyond the limit of what is of
    interest at all: 0 for all within, inf for failed masks, whose values mean nothing.
    """

    values: np.ndarray
    excess: np.ndarray


@dataclass(frozen=True)
class Appraisal:
    """What an objective makes of ``n`` masks.

    ``score``: ``float64[n]``, higher is better, -inf for failed masks. ``feasible``: ``bool[n]``, whether
    the mask may become BEST. ``figures``: further numbers for people, name -> array of length ``n``.
    ``aims``: for a search for a front.
    """

    score: np.ndarray
    feasible: np.ndarray
    figures: dict[str, np.ndarray]
    aims: Aims | None = None


class Objective(Protocol):
    """Turns masks and their counts into scores. ``n`` may be 0; no count is :data:`STOPPED`."""

    @property
    def monotone(self) -> bool:
        """Whether, for every mask, more correct images never lower the score nor end feasibility.

        Only then can evaluations be stopped early; False where in doubt.
        """
        ...

    def appraise(self, masks: np.ndarray, correct: np.ndarray, original_correct: int) -> Appraisal:
        """Judge ``bool[n, f]`` with counts ``int64[n]`` against the count of the unpruned network."""
        ...


class Founders(Protocol):
    """Makes the initial populations of a search of which is to be known what its masks descend from."""

    origins: tuple[str, ...]
    """What a founder may come from, for people; at most 100."""

    def __call__(self, rng: np.random.Generator, evaluator: Evaluator) -> tuple[np.ndarray, np.ndarray]:
        """The founders of one island: ``bool[n, f]``, no layer empty, and ``uint8[n]``, rows of ``origins``.

        As many as the settings ask for (``population``). What they ask the evaluator counts as evaluations of
        the search.
        """
        ...
