"""Removed channels as linear functions of kept ones, from second moments alone.

``mean`` replaces a removed channel by its average. ``merge`` replaces it by a multiple of the kept channel that
explains most of its variance, after Neuron Merging (Kim et al., NeurIPS 2020, arXiv:2010.13160), which picks and
scales by weights instead of activations. ``linear`` is ridge regression on all kept channels.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

RIDGE = 1e-3
"""Penalty on squared coefficients, in units of the mean second moment of a channel; the constant has none."""


class Coefficients(NamedTuple):
    """``removed = matrix @ kept + constant``: ``float32[r, k]`` and ``float32[r]``."""

    matrix: np.ndarray
    constant: np.ndarray


class Moments:
    """Mean and covariance from the products ``float64[c + 1, c + 1]`` of one reader.

    The products are those of :func:`models.compensation.moments.gather_moments`.

    Attributes:
        mean: ``float64[c]``.
        covariance: ``float64[c, c]``, the ridge on its diagonal.
    """

    def __init__(self, products: np.ndarray):
        self.mean = products[-1, :-1]
        ridge = RIDGE * np.mean(np.diagonal(products)[:-1])
        # A group whose channels are all dead has no scale of its own.
        diagonal = np.eye(len(self.mean)) * (ridge if ridge > 0 else 1.0)
        self.covariance = products[:-1, :-1] - np.outer(self.mean, self.mean) + diagonal

    @cached_property
    def precision(self) -> np.ndarray:
        """Inverse of the covariance."""
        return np.linalg.inv(self.covariance)


Method = Callable[[Moments, np.ndarray, np.ndarray], np.ndarray]
"""Moments, kept and removed channels, one or more of each -> ``float64[r, k]``; the means decide the constant."""


def average(moments: Moments, kept: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """No kept channel predicts a removed one."""
    return np.zeros((len(removed), len(kept)))


def merge(moments: Moments, kept: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """The slope of the one kept channel that explains most of a removed channel's variance."""
    cross = moments.covariance[np.ix_(removed, kept)]
    slopes = cross / np.diagonal(moments.covariance)[kept]
    best = np.argmax(cross * slopes, axis=1)[:, None]
    matrix = np.zeros_like(cross)
    np.put_along_axis(matrix, best, np.take_along_axis(slopes, best, axis=1), axis=1)
    return matrix


def linear(moments: Moments, kept: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Ridge regression on all kept channels; solves the smaller of two equivalent systems."""
    if len(removed) <= len(kept):
        precision = moments.precision
        return -np.linalg.solve(precision[np.ix_(removed, removed)], precision[np.ix_(removed, kept)])
    covariance = moments.covariance
    return np.linalg.solve(covariance[np.ix_(kept, kept)], covariance[np.ix_(kept, removed)]).T


METHODS: Mapping[str, Method] = {"mean": average, "merge": merge, "linear": linear}
"""``compensate`` value -> method."""


def coefficients(method: str, moments: Moments, keep: np.ndarray) -> Coefficients:
    """Coefficients that predict the removed channels of ``bool[c]`` from the kept ones, channels ascending.

    Computed in float64 with one thread and rounded once, so that every process gets the same bits for a slice.
    """
    kept, removed = np.flatnonzero(keep), np.flatnonzero(~keep)
    matrix = np.zeros((len(removed), len(kept)))
    with one_thread():
        if matrix.size:
            matrix = METHODS[method](moments, kept, removed)
        constant = moments.mean[removed] - matrix @ moments.mean[kept]
    return Coefficients(matrix.astype(np.float32), constant.astype(np.float32))


def one_thread() -> AbstractContextManager[object]:
    """While entered, NumPy computes with one thread, in the whole process.

    BLAS libraries split sums among threads, so the last bits of a product depend on the number of cores. Weights
    that follow from it would differ between workers.
    """
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    # The search for the libraries takes milliseconds; NumPy's is loaded from the start.
    return ThreadpoolController()
