"""Convolutions and matrix products, the primitives that make and read channels."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from jax.extend import core

from models.tracing.context import Context, Maker, unknown
from models.tracing.labels import Dimensions, Labels, shape_of


def convolution(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Reads the input's channels and makes the kernel's channels.

    The removable unit of a grouped convolution is a group: its input channels together with its filters. A
    depthwise filter is therefore removed together with its input channel.
    """
    parameters = equation.params
    if parameters["batch_group_count"] != 1:
        return unknown(equation, operands, context)
    image, kernel, result = (
        getattr(parameters["dimension_numbers"], f"{part}_spec") for part in ("lhs", "rhs", "out")
    )
    inputs, weights = operands
    name = equation.primitive.name
    for axis in image[2:]:
        context.keep(inputs[axis], name)
    for axis in kernel[2:]:
        context.keep(weights[axis], name)
    features, reads, makes = inputs[image[1]], weights[kernel[1]], weights[kernel[0]]
    groups = parameters["feature_group_count"]
    if groups == 1:
        context.tie(features, reads, name)
        context.read(0, image[1], features)
        context.read(1, kernel[1], reads)
    else:
        context.keep(reads, name)
        _tie_groups(features, makes, groups, context)
    shape = shape_of(equation.outvars[0])
    _make(equation, 1, [makes], "convolution", prod(shape[axis] for axis in result[2:]), context)
    carried: list[Labels] = [None if extent == 1 else np.zeros(extent, np.int64) for extent in shape]
    carried[result[0]], carried[result[1]] = inputs[image[0]], makes
    return [tuple(carried)]


def _tie_groups(features: Labels, makes: Labels, groups: int, context: Context) -> None:
    if features is None or makes is None:
        context.keep(features, "conv_general_dilated")
        context.keep(makes, "conv_general_dilated")
        return
    reason = "conv_general_dilated in groups"
    first = features.reshape(groups, -1)[:, :1]
    for labels in (features, makes):
        members = labels.reshape(groups, -1)
        context.ties.tie(np.broadcast_to(first, members.shape), members, reason)


def dot(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """Ties the axes that are summed over, and makes the channels of an operand that is an array of the module."""
    contracted, batched = equation.params["dimension_numbers"]
    name = equation.primitive.name
    for axes in zip(*contracted, strict=True):
        labels = [operands[side][axis] for side, axis in enumerate(axes)]
        tied = context.tie(labels[0], labels[1], name)
        for side, axis in enumerate(axes):
            context.read(side, axis, tied)
    carried = [
        context.tie(operands[0][one], operands[1][other], name) for one, other in zip(*batched, strict=True)
    ]
    shapes = [shape_of(atom) for atom in equation.invars]
    free = [
        [axis for axis in range(len(shapes[side])) if axis not in (*contracted[side], *batched[side])]
        for side in (0, 1)
    ]
    for side in (0, 1):
        makes = [operands[side][axis] for axis in free[side]]
        carried += makes
        uses = prod(shapes[1 - side][other] for other in free[1 - side])
        _make(equation, side, makes, "dense", uses, context)
    return [tuple(carried)]


def _make(
    equation: core.JaxprEqn, side: int, makes: Sequence[Labels], kind: Any, uses: int, context: Context
) -> None:
    """Note that an array of the module makes channels and uses each element ``uses`` times for an image."""
    path = context.origin(equation.invars[side])
    if path is None:
        return
    context.makers += [Maker(path, labels, kind) for labels in makes if labels is not None]
    context.uses[path] = context.uses.get(path, 0) + uses
