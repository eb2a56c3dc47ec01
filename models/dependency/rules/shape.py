"""Primitives that move indices about: reshape, transpose, broadcast, concatenate, slice, pad."""

from collections.abc import Sequence

import numpy as np
from jax.extend import core

from models.dependency.context import Context
from models.dependency.dimensions import Dimensions, Labels, shape_of, whole
from models.dependency.rules.reshaping import merged, split


def transpose(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Axes change places."""
    return [tuple(operands[0][axis] for axis in equation.params["permutation"])]


def broadcast(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Axes that are new or repeated follow what they meet: their labels are tied to nothing yet."""
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
    """Slice, split, pad and reverse: axes they leave alone pass, the others stay.

    The numbers of a slice are part of the program; of fewer channels it would take other ones.
    """
    changed = _changed(equation)
    for axis in changed:
        context.keep(operands[0][axis], equation.primitive.name)
    results = []
    for result in equation.outvars:
        carried = list(operands[0])
        for axis in changed:
            carried[axis] = whole(shape_of(result))[axis]
        results.append(tuple(carried))
    return results


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
    """Axes are merged and split; see :mod:`models.dependency.rules.reshaping`."""
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
        together = merged(operands[0][first_old:old], before[first_old:old], context)
        carried += split(together, after[first_new:new], context)
    return [tuple(carried)]
