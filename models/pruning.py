"""From a network and a mask to the physically smaller network of the same class."""

from collections.abc import Mapping

import numpy as np

from models.cutting import check_keeps, cut
from models.stages import Network
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
