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


class Holder(NamedTuple):
    """An array that can hold a constant, and what the constant becomes on its way there.

    Attributes:
        path: of the array, which has a number for each output of the kernel.
        sign: 1 or -1.
        factors: operands that the kernel's result is multiplied by, or divided by where the flag is set.
    """

    path: str
    sign: int
    factors: tuple[tuple[Any, bool], ...]


def holder(flow: Flow, result: core.Var, axis: int, taken: Collection[str]) -> Holder | None:
    """The first array behind a kernel that can hold a constant; None if there is none.

    Args:
        flow: of the program.
        result: of the equation that multiplies by the kernel.
        axis: of the result that runs over the kernel's outputs.
        taken: paths of arrays that are not to be used.
    """
    outputs, sign = shape_of(result)[axis], 1
    factors: list[tuple[Any, bool]] = []
    value: Any = result
    while len(flow.uses[value]) == 1:
        use = flow.uses[value][0]
        if use is None:
            return None
        _, equation = use
        name = equation.primitive.name
        if name in ("add", "add_any", "sub", "mul", "div"):
            place = equation.invars.index(value)
            other = equation.invars[1 - place]
            by_arrays = flow.of_arrays(other)
            if name in ("mul", "div"):
                if not by_arrays or not by_channel(other, axis, outputs) or (name == "div" and place == 1):
                    return None
                factors.append((other, name == "div"))
            else:
                if by_arrays:
                    found = held(flow, other, axis, outputs, taken)
                    if found is not None:
                        path, direction = found
                        # ``x - array`` grows as the array falls, and ``array - x`` falls as the array falls.
                        return Holder(path, sign * direction * (-1 if name == "sub" else 1), tuple(factors))
                if name == "sub" and place == 1:
                    sign = -sign
        elif name == "neg":
            sign = -sign
        elif name == "transpose":
            axis = equation.params["permutation"].index(axis)
        elif name not in ("copy", "copy_p", "name"):
            return None
        value = equation.outvars[0]
    return None


def by_channel(atom: Any, axis: int, outputs: int) -> bool:
    """Whether an operand is one number, or one for each output along an axis."""
    shape = shape_of(atom)
    return prod(shape) == 1 or (prod(shape) == outputs and shape[axis] == outputs)


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
