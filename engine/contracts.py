"""What the engine asks of the rest: an evaluator that counts and an objective that judges.

Shapes: ``n`` masks, ``f`` filters. Masks are ``bool``, True = keep.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

FAILED = -1
"""The count of a mask whose evaluation failed: its network answered NaN or infinity."""


class Evaluator(Protocol):
    """Counts the images that a masked network gets right."""

    total: int
    """Images that every mask is evaluated on."""

    def evaluate(self, masks: np.ndarray) -> np.ndarray:
        """``bool[n, f]`` -> ``int64[n]``: correct images, 0 to ``total``, or :data:`FAILED`.

        The count of a mask depends on that mask alone.
        """
        ...


@dataclass(frozen=True)
class Appraisal:
    """What an objective makes of ``n`` masks.

    ``score``: ``float64[n]``, higher is better, -inf for failed masks. ``feasible``: ``bool[n]``, whether
    the mask may become BEST. ``figures``: further numbers for people, name -> array of length ``n``.
    """

    score: np.ndarray
    feasible: np.ndarray
    figures: dict[str, np.ndarray]


class Objective(Protocol):
    """Turns masks and their counts into scores."""

    def appraise(self, masks: np.ndarray, correct: np.ndarray, original_correct: int) -> Appraisal:
        """Judge ``bool[n, f]`` with counts ``int64[n]`` against the count of the unpruned network."""
        ...
