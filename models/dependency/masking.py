"""A module's program under a mask."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from models.axes import extent, groups_of, parts_of
from models.dependency.groups import ChannelRead
from models.dependency.inlining import bind
from models.stages import Axis, Joined, Keeps


def masked_program(
    program: core.ClosedJaxpr, reads: Mapping[int, Sequence[ChannelRead]], sizes: Mapping[str, int]
) -> Callable[[Sequence[Any], jax.Array, Keeps], jax.Array]:
    """A module's program under a mask.

    A removed channel is silent where an equation sums over it, and only there: so it leaves the same trace as
    if it were gone, whatever is done to it in between (the sigmoid of a silent channel would not be 0).

    Args:
        program: see :class:`models.dependency.trace.Trace`.
        reads: number of an equation -> where it sums over channels.
        sizes: channels of each group.

    Returns:
        From arrays, images ``[b, ...]`` and keeps (:data:`models.stages.Keeps`) to logits ``[b, classes]``.
    """
    jaxpr = program.jaxpr

    def masked(arrays: Sequence[Any], images: jax.Array, keeps: Keeps) -> jax.Array:
        def of_image(image: jax.Array) -> jax.Array:
            inputs = [*program.consts, *arrays, image[None]]
            values = dict(zip([*jaxpr.constvars, *jaxpr.invars], inputs, strict=True))
            for number, equation in enumerate(jaxpr.eqns):
                operands = [
                    atom.val if isinstance(atom, core.Literal) else values[atom] for atom in equation.invars
                ]
                silenced(operands, reads.get(number, ()), keeps, sizes)
                values.update(zip(equation.outvars, bind(equation, operands), strict=True))
            return values[jaxpr.outvars[0]][0]

        return jax.vmap(of_image)(images)

    return masked


def silenced(operands: list[Any], reads: Sequence[ChannelRead], keeps: Keeps, widths: Mapping[str, int]) -> None:
    """Replace the operands that an equation sums over by what is left of them.

    A select, not a product: a removed channel that holds NaN must leave no trace.

    Args:
        operands: of the equation.
        reads: where it sums over channels.
        keeps: group -> ``bool[size]``, True = keep; absent groups are kept whole.
        widths: channels of each group as the operands hold them.
    """
    for read in reads:
        if any(group in keeps for group in groups_of(read.runs_over)):
            operand = operands[read.operand]
            shape = [1] * operand.ndim
            shape[read.axis] = operand.shape[read.axis]
            keep = _along(read.runs_over, keeps, widths).reshape(shape)
            operands[read.operand] = jnp.where(keep, operand, jnp.zeros((), operand.dtype))


def _along(axis: Axis | Joined, keeps: Keeps, widths: Mapping[str, int]) -> jax.Array:
    """Which indices of an axis are kept, as ``bool[extent]``."""
    kept = []
    for part in parts_of(axis):
        if isinstance(part, Axis) and part.group in keeps:
            kept.append(jnp.tile(jnp.repeat(jnp.asarray(keeps[part.group]), part.run), part.positions))
        else:
            kept.append(jnp.ones(extent(part, widths), bool))
    return jnp.tile(jnp.concatenate(kept), axis.positions if isinstance(axis, Joined) else 1)
