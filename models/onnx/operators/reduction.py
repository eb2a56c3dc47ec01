"""Sums, means and extrema over axes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from models.onnx.operators.contract import Call, Operator
from models.onnx.value import Laid, Value, static

FUNCTIONS: dict[str, str] = {
    "ReduceMax": "max",
    "ReduceMean": "mean",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceSum": "sum",
}
"""Operation -> the function of this name in NumPy and JAX."""


def _reduced(name: str, call: Call) -> Value:
    """Axes are attributes in older versions and an input in newer ones; none means all."""
    value = call.given(0)
    given = call.operand(1)
    axes = call.attribute("axes") if given is None else static(given, "axes").ravel().tolist()
    if not axes:
        if call.attribute("noop_with_empty_axes", 0):
            return value
        axes = range(value.ndim)
    kept = bool(call.attribute("keepdims", 1))
    if not isinstance(value, Laid):
        return np.asarray(getattr(np, name)(value, axis=tuple(axes), keepdims=kept))
    return over(getattr(jnp, name), value, [axis % value.ndim for axis in axes], kept)


def over(function: Callable[..., Any], value: Laid, axes: list[int], kept: bool) -> Laid:
    """The result of a reduction; axes that stay lie in the order of ``value``."""
    result = function(value.array, axis=tuple(value.place(axis) for axis in axes), keepdims=kept)
    if kept:
        return Laid(result, value.order)
    staying = [axis for axis in range(value.ndim) if axis not in axes]
    return Laid(result, tuple(staying.index(axis) for axis in value.order if axis in staying))


def square_root_of_sum(call: Call) -> Value:
    """``ReduceL2``."""
    value = call.given(0)
    if not isinstance(value, Laid):
        raise ValueError("its input does not depend on the image")
    given = call.operand(1)
    axes = call.attribute("axes") if given is None else static(given, "axes").ravel().tolist()
    squares = Laid(jnp.square(value.array), value.order)
    kept = bool(call.attribute("keepdims", 1))
    summed = over(jnp.sum, squares, [axis % value.ndim for axis in axes or range(value.ndim)], kept)
    return Laid(jnp.sqrt(summed.array), summed.order)


REDUCTION: dict[str, Operator] = {
    **{operation: partial(_reduced, name) for operation, name in FUNCTIONS.items()},
    "ReduceL2": square_root_of_sum,
}
