"""Running equations of a program under a mask, at the widths that their operands have."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
from jax.extend import core

from models.axes import extent
from models.dependency.dimensions import shape_of
from models.dependency.groups import Grouped
from models.dependency.inlining import bind
from models.dependency.silencing import silenced
from models.stages import DType, Keeps

CONTRACTIONS = ("conv_general_dilated", "dot_general")


def execute(
    equations: Iterable[tuple[int, core.JaxprEqn]],
    values: dict[core.Var, Any],
    found: Grouped,
    keeps: Keeps,
    widths: Mapping[str, int],
    precision: DType = jnp.float32,
) -> None:
    """Add the results of equations to ``values``.

    Args:
        equations: with their numbers in the program.
        values: of the program's variables so far.
        found: where the program sums over channels, and which shapes follow from their number.
        keeps: group -> ``bool[width]``, True = keep; absent groups are kept whole.
        widths: channels of each group, as ``values`` hold them.
        precision: of the operands of convolutions and matrix products, which add up in their own type.
    """
    for number, equation in equations:
        operands = [atom.val if isinstance(atom, core.Literal) else values[atom] for atom in equation.invars]
        silenced(operands, found.reads.get(number, ()), keeps, widths)
        changed: dict[str, Any] = {}
        if number in found.shapes:
            changed = _shape(equation, tuple(extent(axis, widths) for axis in found.shapes[number]))
        if equation.primitive.name in CONTRACTIONS:
            if precision != jnp.float32:
                changed["preferred_element_type"] = jnp.result_type(*operands)
                operands = [operand.astype(precision) for operand in operands]
            if equation.primitive.name == "conv_general_dilated":
                numbers = equation.params["dimension_numbers"]
                each = operands[1].shape[numbers.rhs_spec[1]]
                changed["feature_group_count"] = operands[0].shape[numbers.lhs_spec[1]] // each
        values.update(zip(equation.outvars, bind(equation, operands, changed), strict=True))


def _shape(equation: core.JaxprEqn, shape: tuple[int, ...]) -> dict[str, Any]:
    """The parameters of an equation that say which shape its result has."""
    if equation.primitive.name == "reshape":
        return {"new_sizes": shape}
    if equation.primitive.name == "broadcast_in_dim":
        return {"shape": shape}
    # A slice leaves axes of channels whole, and only their extents differ.
    limits = equation.params["limit_indices"]
    extents, taken = shape_of(equation.invars[0]), shape_of(equation.outvars[0])
    axes = zip(shape, extents, taken, limits, strict=True)
    return {"limit_indices": tuple(now if whole == part else limit for now, whole, part, limit in axes)}
