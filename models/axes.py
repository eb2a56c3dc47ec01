"""Arithmetic on the axes of arrays: how long they are, and which indices some channels have."""

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from models.stages import Axis, Joined


def parts_of(axis: Axis | Joined | int) -> tuple[Axis | int, ...]:
    """The parts that lie one after the other at each place."""
    return axis.parts if isinstance(axis, Joined) else (axis,)


def groups_of(axis: Axis | Joined | int) -> Iterator[str]:
    """The groups whose channels the axis runs over."""
    return (part.group for part in parts_of(axis) if isinstance(part, Axis))


def extent(axis: Axis | Joined | int, sizes: Mapping[str, Any]) -> Any:
    """Indices of an axis whose groups have ``sizes``, each an integer or an array of them."""
    lengths = [
        sizes[part.group] * (part.positions * part.run) if isinstance(part, Axis) else part
        for part in parts_of(axis)
    ]
    return sum(lengths[1:], lengths[0]) * (axis.positions if isinstance(axis, Joined) else 1)


def rows(
    axis: Axis | Joined | int, sizes: Mapping[str, int], channels: Mapping[str, Any], xp: ModuleType = np
) -> Any:
    """Indices ``int[k]`` of an axis that belong to some channels, in the order of the axis.

    Args:
        axis: of an array that is whole.
        sizes: of the whole groups.
        channels: group -> numbers of channels ``int[w]``; groups that are absent give all their indices. A
            number beyond the last channel gives indices beyond the end of the axis.
        xp: ``numpy`` or ``jax.numpy``.
    """
    whole = extent(axis, sizes)
    found, start = [], 0
    for part in parts_of(axis):
        length = extent(part, sizes)
        if isinstance(part, Axis) and part.group in channels:
            size, chosen = sizes[part.group], channels[part.group]
            places = xp.arange(part.positions)[:, None] * size + chosen
            indices = places[..., None] * part.run + xp.arange(part.run)
            beyond = xp.broadcast_to((chosen >= size)[:, None], indices.shape)
            found.append(xp.where(beyond, whole, start + indices).reshape(-1))
        else:
            found.append(start + xp.arange(length))
        start += length
    at_one_place = xp.concatenate(found)
    positions = axis.positions if isinstance(axis, Joined) else 1
    everywhere = xp.arange(positions)[:, None] * start + at_one_place
    return xp.where(at_one_place >= whole, whole, everywhere).reshape(-1)
