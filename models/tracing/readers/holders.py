"""The array behind a kernel that can hold a constant: a bias, or the mean or the offset of a batch norm.

Between the kernel and the array, the kernel's result may be scaled channel by channel and added to other values.
Nothing else may use the result or the array.
"""

from collections.abc import Collection
from math import prod
from typing import Any, NamedTuple

from jax.extend import core

from models.tracing.labels import shape_of
from models.tracing.readers.flow import Flow, is_move
from models.tracing.readers.terms import Factors, terms


class Holder(NamedTuple):
    """An array that can hold a constant, and what the constant becomes on its way there.

    Attributes:
        path: of the array, which has a number for each output of the kernel.
        sign: 1 or -1.
        factors: of the kernel's result.
    """

    path: str
    sign: int
    factors: Factors


def holder(flow: Flow, result: core.Var, axis: int, taken: Collection[str]) -> Holder | None:
    """The first array behind a kernel that can hold a constant; None if there is none.

    Args:
        flow: of the program.
        result: of the equation that multiplies by the kernel.
        axis: of the result that runs over the kernel's outputs.
        taken: paths of arrays that are not to be used.
    """
    outputs = shape_of(result)[axis]
    for term in terms(flow, result, axis):
        if term.added is not None and flow.of_arrays(term.added):
            found = held(flow, term.added, term.axis, outputs, taken)
            if found is not None:
                path, direction = found
                return Holder(path, term.sign * term.direction * direction, term.factors)
    return None


def held(flow: Flow, atom: Any, axis: int, outputs: int, taken: Collection[str]) -> tuple[str, int] | None:
    """The array that an operand adds for each output along an axis, and the sign with which it does."""
    if isinstance(atom, core.Literal):
        return None
    shape = shape_of(atom)
    if len(flow.uses[atom]) != 1 or len(shape) <= axis or shape[axis] != outputs:
        return None
    if atom in flow.paths:
        path = flow.paths[atom]
        return (path, 1) if prod(shape) == outputs and path not in taken else None
    if atom not in flow.makers:
        return None
    _, equation = flow.makers[atom]
    name = equation.primitive.name
    if name in ("add", "sub"):
        for place, operand in enumerate(equation.invars):
            if shape_of(operand) == shape:
                found = held(flow, operand, axis, outputs, taken)
                if found is not None:
                    return found[0], found[1] * (-1 if name == "sub" and place == 1 else 1)
        return None
    if name == "neg":
        found = held(flow, equation.invars[0], axis, outputs, taken)
        return None if found is None else (found[0], -found[1])
    if name == "broadcast_in_dim":
        places = equation.params["broadcast_dimensions"]
        inner = shape_of(equation.invars[0])
        if prod(inner) != outputs or (
            outputs > 1 and (axis not in places or inner[places.index(axis)] != outputs)
        ):
            return None
        return held(flow, equation.invars[0], places.index(axis) if axis in places else 0, outputs, taken)
    if is_move(equation) and prod(shape) == outputs and name != "rev":
        # A vector, whatever its shape: the other axes have one index.
        inner = shape_of(equation.invars[0])
        return held(flow, equation.invars[0], inner.index(outputs), outputs, taken) if outputs in inner else None
    return None
