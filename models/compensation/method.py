"""A method of compensation together with what it knows of one network."""

import hashlib
from collections.abc import Mapping

import numpy as np

from models.compensation.coefficients import METHODS, Coefficients, Moments, coefficients
from models.compensation.recalibration import Calibration
from models.errors import CompensationError

RECALIBRATE = "recalibrate"
"""Changes the statistics of batch norms alone; ``METHOD+recalibrate`` measures them behind changed weights."""

COMPENSATIONS = (*METHODS, RECALIBRATE, *(f"{method}+{RECALIBRATE}" for method in METHODS))
"""The values of ``compensate`` that change something."""


class Compensation:
    """Computes the coefficients of any slice, and holds the images on which statistics are measured.

    Attributes:
        method: one of :data:`COMPENSATIONS`.
        products: reader name -> ``float64[c + 1, c + 1]``; see
            :func:`models.compensation.moments.gather_moments`. Empty if no weight changes.
        calibration: where batch norm's statistics are measured anew; None where they stay.

    Raises:
        CompensationError: an unknown method.
    """

    def __init__(self, method: str, products: Mapping[str, np.ndarray], calibration: Calibration | None = None):
        check_method(method)
        self.method = method
        self.products = products
        self.calibration = calibration
        self.regression = regression_of(method)
        self._moments: dict[str, Moments] = {}

    def coefficients(self, reader: str, keep: np.ndarray) -> Coefficients:
        """Coefficients for ``reader`` that predict the removed channels of ``bool[c]`` from the kept ones."""
        assert self.regression is not None, "no weight changes"
        if reader not in self._moments:
            self._moments[reader] = Moments(self.products[reader])
        return coefficients(self.regression, self._moments[reader], keep)

    def digest(self) -> str:
        """SHA-256 of the method and of everything that decides the coefficients."""
        digest = hashlib.sha256(self.method.encode())
        for name, array in sorted(self.products.items()):
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def check_method(method: str) -> None:
    """Raise CompensationError for an unknown method."""
    if method not in COMPENSATIONS:
        raise CompensationError(f"`compensate` must be one of none, {', '.join(COMPENSATIONS)}, not {method!r}.")


def regression_of(method: str) -> str | None:
    """The key of :data:`models.compensation.coefficients.METHODS` by which weights change; None if none does."""
    first = method.split("+")[0]
    return None if first == RECALIBRATE else first


def recalibrates(method: str) -> bool:
    """Whether the method measures the statistics of batch norms."""
    return method.split("+")[-1] == RECALIBRATE
