"""Primitives that move indices: transpose, broadcast, concatenate, slice, pad, reshape."""

from collections.abc import Sequence
from math import prod

import numpy as np
from jax.extend import core

from models.tracing.context import Context, Piece
from models.tracing.labels import WHOLE, Dimensions, Labels, shape_of, whole


def transpose(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Axes change places."""
    return [tuple(operands[0][axis] for axis in equation.params["permutation"])]


def broadcast(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """New or repeated axes get fresh labels, which are tied when they meet others."""
    carried: list[Labels] = [
        None if extent == 1 else context.ties.fresh(extent) for extent in equation.params["shape"]
    ]
    for axis, place in enumerate(equation.params["broadcast_dimensions"]):
        if operands[0][axis] is not None:
            carried[place] = operands[0][axis]
    return [tuple(carried)]


def squeeze(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Axes of extent 1 vanish."""
    axes = equation.params["dimensions"]
    return [tuple(labels for axis, labels in enumerate(operands[0]) if axis not in axes)]


def concatenate(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Channels one after the other; all other axes are tied."""
    along = equation.params["dimension"]
    carried: list[Labels] = []
    labels: Labels
    for axis in range(len(shape_of(equation.outvars[0]))):
        if axis == along:
            extents = [shape_of(atom)[axis] for atom in equation.invars]
            parts = []
            for dimensions, extent in zip(operands, extents, strict=True):
                labels = dimensions[axis]
                parts.append(np.zeros(extent, np.int64) if labels is None else labels)
            carried.append(np.concatenate(parts))
            continue
        labels = None
        for dimensions in operands:
            labels = context.tie(labels, dimensions[axis], equation.primitive.name)
        carried.append(labels)
    return [tuple(carried)]


def cutting(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Slice, split, pad and reverse: unchanged axes pass, changed axes keep their channels.

    The bounds of a slice are part of the program; with fewer channels they would be wrong. There are two
    exceptions. A slice that the module names by :data:`models.tracing.context.CUT` has bounds that follow its
    channels. Equal parts of a split stay equal where their channels are tied.
    """
    changed = _changed(equation)
    if equation.primitive.name == "split" and len(set(equation.params["sizes"])) == 1:
        [axis] = changed
        parts = len(equation.outvars)
        if context.tie_parts(operands[0][axis], parts):
            labels = operands[0][axis]
            assert labels is not None
            return [(*operands[0][:axis], part, *operands[0][axis + 1 :]) for part in labels.reshape(parts, -1)]
    if context.number in context.named and len(changed) == 1:
        return [_piece(equation, operands[0], changed[0], context)]
    for axis in changed:
        context.keep(operands[0][axis], equation.primitive.name)
    results = []
    for result in equation.outvars:
        carried = list(operands[0])
        for axis in changed:
            carried[axis] = whole(shape_of(result))[axis]
        results.append(tuple(carried))
    return results


def gather(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Elements at given indices: axes that are taken whole pass, all others keep their channels."""
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    context.keep_all(operands[1], equation.primitive.name)
    carried = list(whole(shape_of(equation.outvars[0])))
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    places = iter(numbers.offset_dims)
    for axis, labels in enumerate(operands[0]):
        place = None if axis in gone else next(places)
        if place is None or axis in numbers.start_index_map or sizes[axis] != shape_of(equation.invars[0])[axis]:
            context.keep(labels, equation.primitive.name)
        else:
            carried[place] = labels
    return [tuple(carried)]


def _piece(equation: core.JaxprEqn, dimensions: Dimensions, axis: int, context: Context) -> Dimensions:
    labels, start = dimensions[axis], equation.params["start_indices"][axis]
    assert labels is not None, "an axis of one index is not cut"
    taken = labels[start : equation.params["limit_indices"][axis]]
    context.pieces[context.number] = Piece(axis, labels[:start], taken)
    if len(taken) == 1:
        # An axis of one index carries no label.
        context.keep(taken, equation.primitive.name)
    return (*dimensions[:axis], taken if len(taken) > 1 else None, *dimensions[axis + 1 :])


def _changed(equation: core.JaxprEqn) -> list[int]:
    parameters, shape = equation.params, shape_of(equation.invars[0])
    if equation.primitive.name == "split":
        return [parameters["axis"]]
    if equation.primitive.name == "rev":
        return list(parameters["dimensions"])
    if equation.primitive.name == "pad":
        return [axis for axis, amounts in enumerate(parameters["padding_config"]) if any(amounts)]
    taken = shape_of(equation.outvars[0])
    return [axis for axis, extent in enumerate(shape) if taken[axis] != extent]


def reshape(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Axes are merged and split, label by label."""
    before, after = shape_of(equation.invars[0]), shape_of(equation.outvars[0])
    carried: list[Labels] = []
    old = new = 0
    while old < len(before) or new < len(after):
        # The next axes that hold the same number of elements before and after.
        first_old, first_new = old, new
        size_old = size_new = 1
        while size_old != size_new or (old, new) == (first_old, first_new):
            if size_old <= size_new and old < len(before):
                size_old *= before[old]
                old += 1
            else:
                size_new *= after[new]
                new += 1
        together = _merged(operands[0][first_old:old], before[first_old:old], context)
        axis = context.shuffles.get(context.number, -1)
        if first_new <= axis < new and prod(after[first_new:axis]) == 1:
            context.tie_parts(together, after[axis])
        carried += _split(together, after[first_new:new], context)
    return [tuple(carried)]


def _merged(dimensions: Sequence[Labels], extents: Sequence[int], context: Context) -> Labels:
    """Labels of several axes as one, the last fastest; at most one of them may run over channels."""
    if all(labels is None for labels in dimensions):
        return None
    free = [None if labels is None else context.ties.free(labels) for labels in dimensions]
    running = [axis for axis, labels in enumerate(free) if labels is not None and (labels != WHOLE).any()]
    if len(running) > 1:
        for axis in running:
            context.keep(dimensions[axis], "reshape")
    if len(running) != 1:
        return np.full(prod(extents), WHOLE)
    shape = [1] * len(extents)
    shape[running[0]] = extents[running[0]]
    labels = dimensions[running[0]]
    assert labels is not None
    return np.broadcast_to(labels.reshape(shape), extents).reshape(-1)


def _split(labels: Labels, extents: Sequence[int], context: Context) -> list[Labels]:
    """One axis as several: the labels go to the axis along which they run, if the others repeat them."""
    if labels is None:
        return [None] * len(extents)
    carried: list[Labels] = [None if extent == 1 else np.full(extent, WHOLE) for extent in extents]
    free = context.ties.free(labels).reshape(extents)
    if (free == WHOLE).all():
        return carried
    for axis in range(len(extents)):
        first = np.moveaxis(free, axis, -1).reshape(-1, extents[axis])
        if extents[axis] > 1 and (first == first[0]).all():
            carried[axis] = np.moveaxis(labels.reshape(extents), axis, -1).reshape(-1, extents[axis])[0]
            return carried
    context.keep(labels, "reshape")
    return carried
