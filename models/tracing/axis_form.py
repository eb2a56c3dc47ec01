"""From the labels of an axis, index by index, to an axis of :mod:`models.axes`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from models.axes import Axis, Joined


class Channel(NamedTuple):
    """A channel of a group."""

    group: str
    number: int


def form(
    labels: np.ndarray, channels: Mapping[int, Channel], sizes: Mapping[str, int]
) -> Axis | Joined | int | None:
    """The axis that has these labels; None if its channels are not in the order of their groups.

    Args:
        labels: ``int64[extent]``.
        channels: label -> channel; labels that are absent belong to no group.
        sizes: channels of each group.
    """
    owners = [channels.get(int(label)) for label in labels]
    parts: list[Axis | int] = []
    start = 0
    while start < len(owners):
        owner = owners[start]
        if owner is None:
            end = start
            while end < len(owners) and owners[end] is None:
                end += 1
            parts.append(end - start)
            start = end
            continue
        run = 1
        while start + run < len(owners) and owners[start + run] == owner:
            run += 1
        size = sizes[owner.group]
        expected = [Channel(owner.group, number) for number in range(size) for _ in range(run)]
        if owners[start : start + size * run] != expected:
            return None
        start += size * run
        last = parts[-1] if parts else None
        if isinstance(last, Axis) and (last.group, last.run) == (owner.group, run):
            parts[-1] = last._replace(positions=last.positions + 1)
        else:
            parts.append(Axis(owner.group, 1, run))
    return _shortest(parts)


def _shortest(parts: Sequence[Axis | int]) -> Axis | Joined | int:
    """Name repeated parts once, as behind a flattened concatenation."""
    if len(parts) == 1:
        return parts[0]
    for period in range(1, len(parts) + 1):
        if len(parts) % period == 0 and list(parts) == list(parts[:period]) * (len(parts) // period):
            return Joined(tuple(parts[:period]), len(parts) // period)
    raise AssertionError("a list repeats itself at its own length")
