"""Merging axes into one and splitting one into several, label by label."""

from collections.abc import Sequence
from math import prod

import numpy as np

from models.dependency.context import Context
from models.dependency.dimensions import Labels
from models.dependency.ties import WHOLE

REASON = "reshape"


def merged(dimensions: Sequence[Labels], extents: Sequence[int], context: Context) -> Labels:
    """Labels of several axes as one, the last fastest; at most one of them may run over channels."""
    if all(labels is None for labels in dimensions):
        return None
    free = [None if labels is None else context.ties.free(labels) for labels in dimensions]
    running = [axis for axis, labels in enumerate(free) if labels is not None and (labels != WHOLE).any()]
    if len(running) > 1:
        for axis in running:
            context.keep(dimensions[axis], REASON)
    if len(running) != 1:
        return np.full(prod(extents), WHOLE)
    shape = [1] * len(extents)
    shape[running[0]] = extents[running[0]]
    labels = dimensions[running[0]]
    assert labels is not None
    return np.broadcast_to(labels.reshape(shape), extents).reshape(-1)


def split(labels: Labels, extents: Sequence[int], context: Context) -> list[Labels]:
    """One axis as several: one of them runs over the channels, as each place along the others repeats them."""
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
    context.keep(labels, REASON)
    return carried
