"""The axes of a stage's arrays: which channels they run over, how long they are, and how a mask cuts them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from models.errors import PruningError


class Axis(NamedTuple):
    """An axis of an array that runs over the channels of a group, at each of ``positions`` places in turn.

    Behind a flattened feature map, index ``position * group size + channel`` belongs to the channel. Each channel
    has ``run`` neighbouring indices; ``run`` exceeds 1 only behind a grouped convolution.
    """

    group: str
    positions: int = 1
    run: int = 1


class Joined(NamedTuple):
    """An axis behind a concatenation: parts one after the other, all of them at each of ``positions`` places.

    A part that is a number is the extent of indices that no mask touches.
    """

    parts: tuple[Axis | int, ...]
    positions: int = 1


@dataclass(frozen=True)
class ArraySpec:
    """The meaning of an array of a stage; cost, pruning and compaction need to know nothing else.

    Attributes:
        axes: an :class:`Axis` or :class:`Joined`, or the extent of an axis that no mask touches.
        uses: multiply-accumulates of each element for one image.
        trained: whether the array counts as parameters; batch statistics do not.
        outputs: number of the axis over which the outputs of a kernel run.
    """

    axes: tuple[Axis | Joined | int, ...]
    uses: int = 0
    trained: bool = True
    outputs: int = -1


def parts_of(axis: Axis | Joined | int) -> tuple[Axis | int, ...]:
    """The parts that lie one after the other at each place."""
    return axis.parts if isinstance(axis, Joined) else (axis,)


def groups_of(axis: Axis | Joined | int) -> Iterator[str]:
    """The groups whose channels the axis runs over."""
    return (part.group for part in parts_of(axis) if isinstance(part, Axis))


def extent(axis: Axis | Joined | int, sizes: Mapping[str, Any]) -> Any:
    """Length of an axis whose groups have ``sizes``, each an integer or an array of integers."""
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
        sizes: channels of each whole group.
        channels: group -> channel numbers ``int[w]``; a group that is absent gives all its indices. A number
            beyond the last channel gives indices beyond the end of the axis.
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


def places(axis: Axis | Joined | int, group: str, sizes: Mapping[str, int]) -> np.ndarray:
    """Indices ``int64[p, c]`` of an axis that belong to the channels of a group: one row for each place.

    Args:
        axis: of an array whose groups have ``sizes``.
        group: with ``c`` channels; the number of places does not depend on ``c``.
        sizes: channels of each group.
    """
    found, start = [], 0
    for part in parts_of(axis):
        length = extent(part, sizes)
        if isinstance(part, Axis) and part.group == group:
            indices = start + np.arange(length).reshape(part.positions, sizes[group], part.run)
            found.append(indices.transpose(0, 2, 1).reshape(-1, sizes[group]))
        start += length
    once = np.concatenate(found)
    positions = axis.positions if isinstance(axis, Joined) else 1
    return (np.arange(positions)[:, None, None] * start + once).reshape(-1, sizes[group])


def cut(array: Any, spec: ArraySpec, sizes: Mapping[str, int], channels: Mapping[str, np.ndarray]) -> Any:
    """The part of a whole array that belongs to some channels; arguments as for :func:`rows`."""
    for number, axis in enumerate(spec.axes):
        if any(group in channels for group in groups_of(axis)):
            array = array.take(rows(axis, sizes, channels), axis=number)
    return array


def check_keeps(keeps: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> None:
    """Refuse masks that do not fit groups of these sizes.

    Raises:
        PruningError: an unknown group, a slice of the wrong shape or type, or a layer left empty.
    """
    for name, keep in keeps.items():
        if name not in sizes:
            raise PruningError(f"the network has no layer {name!r}; it has {', '.join(sizes)}.")
        if keep.dtype != bool or keep.shape != (sizes[name],):
            raise PruningError(
                f"layer {name!r} needs a mask of bool[{sizes[name]}], not {keep.dtype}{list(keep.shape)}."
            )
        if not keep.any():
            raise PruningError(f"the mask removes every filter of layer {name!r}; keep at least one.")
