"""A method of compensation with the moments of one network."""

import hashlib
from collections.abc import Mapping

import numpy as np

from models.compensation.coefficients import METHODS, Coefficients, Moments, coefficients
from models.errors import CompensationError


class Compensation:
    """Gives the coefficients of any slice.

    Attributes:
        method: a key of :data:`models.compensation.coefficients.METHODS`.
        products: reader name -> ``float64[c + 1, c + 1]``; see
            :func:`models.compensation.moments.gather_moments`.

    Raises:
        CompensationError: an unknown method.
    """

    def __init__(self, method: str, products: Mapping[str, np.ndarray]):
        check_method(method)
        self.method = method
        self.products = products
        self._moments: dict[str, Moments] = {}

    def coefficients(self, reader: str, keep: np.ndarray) -> Coefficients:
        """How the kept channels of ``bool[c]`` make up for the removed ones where ``reader`` reads them."""
        if reader not in self._moments:
            self._moments[reader] = Moments(self.products[reader])
        return coefficients(self.method, self._moments[reader], keep)

    def digest(self) -> str:
        """SHA-256 of all that decides the coefficients."""
        digest = hashlib.sha256(self.method.encode())
        for name, array in sorted(self.products.items()):
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def check_method(method: str) -> None:
    """Raise CompensationError for an unknown method."""
    if method not in METHODS:
        raise CompensationError(f"--compensate must be one of none, {', '.join(METHODS)}, not {method!r}.")
