"""Removed channels as linear functions of kept ones, from second moments alone.

``mean``: a removed channel is its average. ``merge``: its one most telling kept channel stands in for it, after
Neuron Merging (Kim et al., NeurIPS 2020, arXiv:2010.13160), which picks and scales by weights instead of
activations. ``linear``: ridge regression on all kept channels.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from models.compensation.threads import one_thread

RIDGE = 1e-3
"""Penalty on squared coefficients, in units of the mean second moment of a channel; the constant has none."""


class Coefficients(NamedTuple):
    """``removed = matrix @ kept + constant``: ``float32[r, k]`` and ``float32[r]``."""

    matrix: np.ndarray
    constant: np.ndarray


class Moments:
    """What regression needs of ``float64[c + 1, c + 1]``; see :func:`models.compensation.moments.gather_moments`.

    Attributes:
        mean: ``float64[c]``.
        covariance: ``float64[c, c]``, the ridge on its diagonal.
    """

    def __init__(self, products: np.ndarray):
        self.mean = products[-1, :-1]
        ridge = RIDGE * np.mean(np.diagonal(products)[:-1])
        # A group of channels that are all dead has no scale of its own.
        diagonal = np.eye(len(self.mean)) * (ridge if ridge > 0 else 1.0)
        self.covariance = products[:-1, :-1] - np.outer(self.mean, self.mean) + diagonal

    @cached_property
    def precision(self) -> np.ndarray:
        """Inverse of the covariance."""
        return np.linalg.inv(self.covariance)


Method = Callable[[Moments, np.ndarray, np.ndarray], np.ndarray]
"""Moments, kept and removed channels, one or more of each -> ``float64[r, k]``; the means decide the constant."""


def average(moments: Moments, kept: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """No kept channel tells anything."""
    return np.zeros((len(removed), len(kept)))


def merge(moments: Moments, kept: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """The one kept channel that explains most of a removed one's variance, and its slope."""
    cross = moments.covariance[np.ix_(removed, kept)]
    slopes = cross / np.diagonal(moments.covariance)[kept]
    best = np.argmax(cross * slopes, axis=1)[:, None]
    matrix = np.zeros_like(cross)
    np.put_along_axis(matrix, best, np.take_along_axis(slopes, best, axis=1), axis=1)
    return matrix


def linear(moments: Moments, kept: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Ridge regression on all kept channels; solved for the fewer, kept or removed."""
    if len(removed) <= len(kept):
        precision = moments.precision
        return -np.linalg.solve(precision[np.ix_(removed, removed)], precision[np.ix_(removed, kept)])
    covariance = moments.covariance
    return np.linalg.solve(covariance[np.ix_(kept, kept)], covariance[np.ix_(kept, removed)]).T


METHODS: Mapping[str, Method] = {"mean": average, "merge": merge, "linear": linear}
"""``--compensate`` value -> method."""


def coefficients(method: str, moments: Moments, keep: np.ndarray) -> Coefficients:
    """How the kept channels of ``bool[c]`` make up for the others, in ascending order of channels.

    Computed in float64 with one thread and rounded once: the same to the bit for a slice, whoever asks.
    """
    kept, removed = np.flatnonzero(keep), np.flatnonzero(~keep)
    matrix = np.zeros((len(removed), len(kept)))
    with one_thread():
        if matrix.size:
            matrix = METHODS[method](moments, kept, removed)
        constant = moments.mean[removed] - matrix @ moments.mean[kept]
    return Coefficients(matrix.astype(np.float32), constant.astype(np.float32))
