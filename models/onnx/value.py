"""A value of a graph while its program is traced: static numbers, or an array whose axes lie in another order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Laid:
    """An array that depends on the image or on weights.

    ONNX has channels first and XLA computes fastest with channels last, so an array keeps the order of axes of
    the operation that made it, and is transposed only where another order is needed.

    Attributes:
        array: as it lies.
        order: axis ``i`` of ``array`` is axis ``order[i]`` in ONNX.
    """

    array: jax.Array
    order: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in ONNX's order."""
        return tuple(self.array.shape[self.order.index(axis)] for axis in range(len(self.order)))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.order)

    def to(self, order: Sequence[int]) -> jax.Array:
        """The array with its axes in ``order``."""
        if tuple(order) == self.order:
            return self.array
        return self.array.transpose([self.order.index(axis) for axis in order])

    def plain(self) -> jax.Array:
        """The array in ONNX's order."""
        return self.to(range(self.ndim))

    def place(self, axis: int) -> int:
        """Where an axis of ONNX lies; negative axes count from the end."""
        return self.order.index(axis % self.ndim)


Value = Laid | np.ndarray
"""NumPy arrays are static: shapes, axes, bounds and what is computed from them."""


def plain(array: Any) -> Laid:
    """An array in ONNX's order."""
    array = jnp.asarray(array)
    return Laid(array, tuple(range(array.ndim)))


def laid(value: Value) -> Laid:
    """A value as an array of the program."""
    return value if isinstance(value, Laid) else plain(value)


def static(value: Value, what: str) -> np.ndarray:
    """A value that must not depend on the image.

    Raises:
        ValueError: it does.
    """
    if isinstance(value, Laid):
        raise ValueError(f"its {what} depends on the image or on weights")
    return value


def together(values: Sequence[Value]) -> tuple[list[jax.Array], tuple[int, ...]]:
    """Values as arrays of one rank and one order of axes, so that they broadcast as in ONNX.

    Axes of extent 1 are put in front of values of fewer axes. The order is that of the first value of the most
    axes that depends on the image.
    """
    rank = max(value.ndim for value in values)
    full = [value for value in values if isinstance(value, Laid) and value.ndim == rank]
    moved = [value for value in full if value.order != tuple(range(rank))]
    order = (moved or full)[0].order if full else tuple(range(rank))
    arrays = []
    for value in values:
        if isinstance(value, Laid) and value.ndim == rank:
            arrays.append(value.to(order))
        elif value.ndim == 0:
            # A number stays a number: it broadcasts by itself.
            arrays.append(jnp.asarray(value.array if isinstance(value, Laid) else value))
        else:
            array = value.plain() if isinstance(value, Laid) else value
            arrays.append(jnp.asarray(array.reshape((1,) * (rank - value.ndim) + array.shape).transpose(order)))
    return arrays, order
