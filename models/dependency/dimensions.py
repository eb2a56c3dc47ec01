"""What each axis of a value carries."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.dependency.ties import WHOLE

Labels = np.ndarray | None
"""The label of each index of an axis, ``int64[extent]``; None for an axis of extent 1, which follows whatever
it meets: the last filter of a layer is never removed."""

Dimensions = tuple[Labels, ...]
"""One entry for each axis of a value."""


def whole(shape: Sequence[int]) -> Dimensions:
    """A value none of whose indices can be removed."""
    return tuple(None if extent == 1 else np.full(extent, WHOLE) for extent in shape)


def shape_of(atom: Any) -> tuple[int, ...]:
    """The shape of a variable or literal of a program."""
    return tuple(atom.aval.shape)


def carries(labels: Labels) -> bool:
    """Whether some index may be removed, as far as its own label says."""
    return labels is not None and bool((labels != WHOLE).any())
