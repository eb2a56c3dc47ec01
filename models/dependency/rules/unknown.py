"""Whatever is not known: what reaches it stays whole."""

from collections.abc import Sequence

from jax.extend import core

from models.dependency.context import Context
from models.dependency.dimensions import Dimensions, shape_of, whole


def unknown(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Keep the channels of all operands, naming the primitive."""
    for dimensions in operands:
        context.keep_all(dimensions, equation.primitive.name)
    return [whole(shape_of(result)) for result in equation.outvars]
