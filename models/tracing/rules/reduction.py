"""Sums, means and maxima over axes, and over windows (pooling)."""

from collections.abc import Sequence

from jax.extend import core

from models.tracing.context import Context
from models.tracing.labels import Dimensions, shape_of, whole

REDUCTIONS = (
    "reduce_sum",
    "reduce_max",
    "reduce_min",
    "reduce_prod",
    "reduce_and",
    "reduce_or",
    "argmax",
    "argmin",
)
WINDOWS = ("reduce_window_sum", "reduce_window_max", "reduce_window_min", "reduce_window")


def reduction(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Reduced axes keep their channels; the others pass.

    The number of reduced channels is likely to be part of the program (a mean divides by it), so fewer channels
    would give another result than silent channels.
    """
    axes = equation.params["axes"]
    for axis in axes:
        context.keep(operands[0][axis], equation.primitive.name)
    return [tuple(labels for axis, labels in enumerate(operands[0]) if axis not in axes)]


def window(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Pooling: axes with windows of one index pass, all others keep their channels."""
    parameters = equation.params
    results = []
    for dimensions, result in zip(operands, equation.outvars, strict=False):
        carried = list(whole(shape_of(result)))
        for axis, labels in enumerate(dimensions):
            windows = (parameters["window_dimensions"][axis], parameters["window_strides"][axis])
            dilated = parameters["base_dilation"][axis] != 1
            if windows == (1, 1) and tuple(parameters["padding"][axis]) == (0, 0) and not dilated:
                carried[axis] = labels
            else:
                context.keep(labels, equation.primitive.name)
        results.append(tuple(carried))
    return results
