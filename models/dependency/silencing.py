"""Silencing removed channels where they are summed over, or gating any."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from models.axes import extent, groups_of, parts_of
from models.dependency.groups import ChannelRead
from models.stages import Axis, Joined, Keeps


def silenced(operands: list[Any], reads: Sequence[ChannelRead], keeps: Keeps, widths: Mapping[str, int]) -> None:
    """Replace the operands that an equation sums over by what is left of them.

    A select, not a product: a removed channel that holds NaN must leave no trace.

    Args:
        operands: of the equation.
        reads: where it sums over channels.
        keeps: group -> ``bool[size]``, True = keep, or ``float32[size]``, by which channels are multiplied;
            absent groups are kept whole.
        widths: channels of each group as the operands hold them.
    """
    for read in reads:
        if any(group in keeps for group in groups_of(read.runs_over)):
            operand = operands[read.operand]
            shape = [1] * operand.ndim
            shape[read.axis] = operand.shape[read.axis]
            keep = _along(read.runs_over, keeps, widths).reshape(shape)
            if keep.dtype == bool:
                operands[read.operand] = jnp.where(keep, operand, jnp.zeros((), operand.dtype))
            # Once in a sum of products: of convolutions the first is the image, with which gates can differ.
            elif read.operand == 0:
                operands[read.operand] = operand * keep


def _along(axis: Axis | Joined, keeps: Keeps, widths: Mapping[str, int]) -> jax.Array:
    """Which indices of an axis are kept, as ``bool[extent]``; ``float32`` where one is gated."""
    kept = []
    for part in parts_of(axis):
        if isinstance(part, Axis) and part.group in keeps:
            kept.append(jnp.tile(jnp.repeat(jnp.asarray(keeps[part.group]), part.run), part.positions))
        else:
            kept.append(jnp.ones(extent(part, widths), bool))
    return jnp.tile(jnp.concatenate(kept), axis.positions if isinstance(axis, Joined) else 1)
