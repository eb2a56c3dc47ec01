"""Activations, sums, products: primitives that work index by index."""

from collections.abc import Sequence

from jax.extend import core

from models.tracing.context import Context
from models.tracing.labels import Dimensions, Labels, shape_of

UNARY = """abs acos acosh asin asinh atan atanh bessel_i0e bessel_i1e cbrt ceil convert_element_type copy copy_p
cos cosh digamma erf erf_inv erfc exp exp2 expm1 floor integer_pow is_finite lgamma log log1p logistic name neg
not optimization_barrier reduce_precision real round rsqrt sign sin sinh sqrt square stop_gradient tan tanh"""
SEVERAL = """add add_any and atan2 clamp div eq ge gt le lt max min mul ne nextafter or pow rem select_n
shift_left shift_right_arithmetic shift_right_logical sub xor"""
PRIMITIVES = (*UNARY.split(), *SEVERAL.split())


def elementwise(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Operands are tied axis by axis; numbers and axes of extent 1 follow."""
    if len(equation.outvars) > 1:
        # optimization_barrier hands on each operand.
        return list(operands)
    carried: list[Labels] = []
    for axis in range(len(shape_of(equation.outvars[0]))):
        labels: Labels = None
        for dimensions in operands:
            if dimensions:
                labels = context.tie(labels, dimensions[axis], equation.primitive.name)
        carried.append(labels)
    return [tuple(carried)]
