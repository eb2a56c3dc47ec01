"""Masks that fit, and what they leave of an array."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.axes import groups_of, rows
from models.errors import PruningError
from models.stages import ArraySpec


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


def cut(array: Any, spec: ArraySpec, sizes: Mapping[str, int], channels: Mapping[str, np.ndarray]) -> Any:
    """The part of an array that belongs to some channels of groups of these sizes; see :mod:`models.axes`."""
    for number, axis in enumerate(spec.axes):
        if any(group in channels for group in groups_of(axis)):
            array = array.take(rows(axis, sizes, channels), axis=number)
    return array
