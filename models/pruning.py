"""From a network and a mask to the physically smaller network of the same class."""

from collections.abc import Mapping

import numpy as np

from models.errors import PruningError
from models.stages import Axis, Network
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
    for name, keep in keeps.items():
        if name not in sizes:
            raise PruningError(f"the network has no layer {name!r}; it has {', '.join(sizes)}.")
        if keep.dtype != bool or keep.shape != (sizes[name],):
            raise PruningError(
                f"layer {name!r} needs a mask of bool[{sizes[name]}], not {keep.dtype}{list(keep.shape)}."
            )
        if not keep.any():
            raise PruningError(f"the mask removes every filter of layer {name!r}; keep at least one.")

    indices = {name: np.flatnonzero(keep) for name, keep in keeps.items()}
    arrays: dict[str, np.ndarray] = {}
    for stage in network.stages:
        whole = stage_arrays(stage)
        for path, spec in stage.specs().items():
            kept = np.asarray(whole[path])
            for number, axis in enumerate(spec.axes):
                if isinstance(axis, Axis) and axis.group in indices:
                    rows = np.arange(axis.positions)[:, None] * sizes[axis.group] + indices[axis.group]
                    kept = np.take(kept, rows.ravel(), axis=number)
            arrays[f"{stage.name}.{path}"] = kept
    widths = {name: int(keep.sum()) for name, keep in keeps.items()}
    smaller = network.architecture.with_widths(widths).blank()
    set_arrays(smaller, arrays)
    return smaller
