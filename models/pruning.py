"""From a network and a mask to the physically smaller network of the same class."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.axes import groups_of, rows
from models.errors import PruningError
from models.stages import ArraySpec, Network
from models.state import set_arrays, stage_arrays


def prune(network: Network, keeps: Mapping[str, np.ndarray]) -> Network:
    """Cut the removed filters, and the weights that read them, out of the arrays.

    Args:
        network: left as it is.
        keeps: group name -> ``bool[group size]``, True = keep; absent groups are kept whole.

    Returns:
        A network of the same class whose logits equal those of ``network`` under ``keeps``.

    Raises:
        PruningError: an unknown group, a slice of the wrong shape or type, or a layer left empty.
    """
    sizes = {group.name: group.size for group in network.filter_groups}
    check_keeps(keeps, sizes)
    channels = {name: np.flatnonzero(keep) for name, keep in keeps.items()}
    arrays: dict[str, np.ndarray] = {}
    for stage in network.stages:
        whole = stage_arrays(stage)
        for path, spec in stage.specs().items():
            arrays[f"{stage.name}.{path}"] = cut(np.asarray(whole[path]), spec, sizes, channels)
    widths = {name: int(keep.sum()) for name, keep in keeps.items()}
    smaller = network.architecture.with_widths(widths).blank()
    set_arrays(smaller, arrays)
    return smaller


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
