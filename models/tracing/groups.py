"""From ties to filter groups, and the axes that run over their channels."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jax.extend import core

from models.axes import Axis, Joined
from models.contract import FilterGroup
from models.tracing.labels import WHOLE
from models.tracing.trace import Trace
from models.tracing.walk import Walked

SHAPED = ("broadcast_in_dim", "reshape", "slice", "split")
"""Primitives with the shape of their result among their parameters."""

CONTRACTIONS = ("conv_general_dilated", "dot_general")
"""The primitives of convolutions and matrix products."""

ORDER = "the order of its channels"


class Channel(NamedTuple):
    """A channel of a group."""

    group: str
    number: int


class ChannelRead(NamedTuple):
    """An axis of an operand that an equation sums over, and the channels that it runs over."""

    operand: int
    axis: int
    runs_over: Axis | Joined


class Cut(NamedTuple):
    """A slice of channels: the axis, the indices in front of the slice, and the slice itself."""

    axis: int
    front: Axis | Joined | int
    taken: Axis | Joined | int


class Grouped(NamedTuple):
    """Filter groups, and the axes that run over their channels.

    Attributes:
        groups: in order of the program.
        layers: group -> the layers that make its channels, in order of the program.
        arrays: path of a parameter or batch statistic -> its axes.
        reads: number of an equation -> the operand axes over which it sums channels.
        shapes: number of an equation with the shape of its result among its parameters -> axes of the result.
        carried: variable of the program -> groups with channels in it.
        axes: variable of the program with channels in it -> its axes; an axis whose channels are out of order is
            a number.
        contracted: number of a convolution or matrix product -> axes of each operand.
        named: name that the module gave a value by ``jax.ad_checkpoint.checkpoint_name`` -> axes of the value.
        cuts: number of a slice whose bounds follow its channels -> its bounds.
        named_cuts: the same by the name that the module gave the slice.
    """

    groups: tuple[FilterGroup, ...]
    layers: dict[str, tuple[str, ...]]
    arrays: dict[str, tuple[Axis | Joined | int, ...]]
    reads: dict[int, tuple[ChannelRead, ...]]
    shapes: dict[int, tuple[Axis | Joined | int, ...]]
    carried: dict[core.Var, tuple[str, ...]]
    axes: dict[core.Var, tuple[Axis | Joined | int, ...]]
    contracted: dict[int, tuple[tuple[Axis | Joined | int, ...], ...]]
    named: dict[str, tuple[Axis | Joined | int, ...]]
    cuts: dict[int, Cut]
    named_cuts: dict[str, Cut]


def layer_of(path: str) -> str:
    """The layer that an array belongs to: ``"block.conv"`` of ``"block.conv.kernel"``."""
    return path.rpartition(".")[0] or path


def grouped(trace: Trace, walked: Walked) -> Grouped:
    """Group the channels of a program.

    A class of labels that a layer makes, and that nothing keeps, is a channel. Channels in the same axes of the
    same arrays form a group. An axis with the channels of a group out of order or incomplete keeps these
    channels; then grouping starts again.
    """
    while True:
        found, disordered = _attempt(trace, walked)
        if not disordered:
            return found
        for labels in disordered:
            walked.context.keep(labels, ORDER)


def _attempt(trace: Trace, walked: Walked) -> tuple[Grouped, list[np.ndarray]]:
    free = walked.context.ties.free
    groups, layers, channels = _alike(walked)
    sizes = {group.name: group.size for group in groups}
    disordered = []

    def formed(labels: np.ndarray | None) -> Axis | Joined | int:
        if labels is None:
            return 1
        if not labels.size:
            return 0
        axis = _form(free(labels), channels, sizes)
        if axis is None:
            disordered.append(labels)
            return len(labels)
        return axis

    arrays = {path: tuple(map(formed, dimensions)) for path, dimensions in walked.arrays.items()}
    reads = {}
    for number, places in walked.context.reads.items():
        axes = [(read, formed(read.labels)) for read in places]
        over = [ChannelRead(read.operand, read.axis, axis) for read, axis in axes if not isinstance(axis, int)]
        if over:
            reads[number] = tuple(over)
    shapes = {
        number: tuple(map(formed, walked.carried[equation.outvars[0]]))
        for number, equation in enumerate(trace.program.jaxpr.eqns)
        if equation.primitive.name in SHAPED
    }
    carried: dict[core.Var, tuple[str, ...]] = {}
    forms: dict[core.Var, tuple[Axis | Joined | int, ...]] = {}
    for variable, dimensions in walked.carried.items():
        labels = [None if axis is None else free(axis) for axis in dimensions]
        met = {label for axis in labels if axis is not None for label in np.unique(axis).tolist()}
        found = {channels[label].group for label in met if label in channels}
        carried[variable] = tuple(group.name for group in groups if group.name in found)
        if found:
            shape = (1 if axis is None else _form(axis, channels, sizes) or len(axis) for axis in labels)
            forms[variable] = tuple(shape)
    contracted = {
        number: tuple(
            tuple(map(formed, walked.carried[atom])) if isinstance(atom, core.Var) else ()
            for atom in equation.invars
        )
        for number, equation in enumerate(trace.program.jaxpr.eqns)
        if equation.primitive.name in CONTRACTIONS
    }
    named = {
        equation.params["name"]: tuple(map(formed, walked.carried[equation.outvars[0]]))
        for equation in trace.program.jaxpr.eqns
        if equation.primitive.name == "name"
    }
    cuts = {
        number: Cut(piece.axis, formed(piece.front), formed(piece.labels))
        for number, piece in walked.context.pieces.items()
    }
    made = {trace.program.jaxpr.eqns[number].outvars[0]: cut for number, cut in cuts.items()}
    named_cuts = {
        equation.params["name"]: made[equation.invars[0]]
        for equation in trace.program.jaxpr.eqns
        if equation.primitive.name == "name" and equation.invars[0] in made
    }
    result = Grouped(groups, layers, arrays, reads, shapes, carried, forms, contracted, named, cuts, named_cuts)
    return result, disordered


def _alike(
    walked: Walked,
) -> tuple[tuple[FilterGroup, ...], dict[str, tuple[str, ...]], Mapping[int, Channel]]:
    free = walked.context.ties.free
    homes: dict[int, set[tuple[str, int]]] = {}
    for path, dimensions in walked.arrays.items():
        for axis, labels in enumerate(dimensions):
            for label in np.unique(free(labels)) if labels is not None else ():
                homes.setdefault(int(label), set()).add((path, axis))
    for number, piece in walked.context.pieces.items():
        # Channels in front of a slice, in the slice and behind it are of different groups, so that the bounds are
        # between groups.
        for place, labels in (("front", piece.front), ("slice", piece.labels)):
            for label in np.unique(free(labels)):
                homes.setdefault(int(label), set()).add((f"{place} {number}", piece.axis))
    members: dict[tuple[str, frozenset[tuple[str, int]]], list[int]] = {}
    makers: dict[int, list[tuple[str, str]]] = {}
    for maker in walked.context.makers:
        layer = layer_of(maker.path)
        for label in dict.fromkeys(free(maker.labels).tolist()):
            if label == WHOLE:
                continue
            if label not in makers:
                members.setdefault((layer, frozenset(homes.get(label, ()))), []).append(label)
            makers.setdefault(label, []).append((layer, maker.kind))
    groups: list[FilterGroup] = []
    layers: dict[str, tuple[str, ...]] = {}
    channels: dict[int, Channel] = {}
    for (layer, _), alike in members.items():
        if len(alike) == 1:
            # The last filter of a layer is never removed.
            continue
        name, number = layer, 1
        while name in layers:
            number += 1
            name = f"{layer}#{number}"
        made = makers[alike[0]]
        convolved = any(kind == "convolution" for _, kind in made)
        groups.append(FilterGroup(name, len(alike), "convolution" if convolved else "dense"))
        layers[name] = tuple(dict.fromkeys(layer for layer, _ in made))
        channels |= {label: Channel(name, number) for number, label in enumerate(alike)}
    return tuple(groups), layers, channels


def _form(
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
