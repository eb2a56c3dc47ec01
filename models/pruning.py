"""From a network and a mask to the physically smaller network of the same class."""

from collections.abc import Mapping

import numpy as np

from models.arrays import arrays_of, set_arrays
from models.axes import check_keeps, cut
from models.contract import Network
from models.model_directory import Model


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
    widths = {name: int(keep.sum()) for name, keep in keeps.items()}
    smaller = network.architecture.with_widths(widths).blank()
    set_arrays(smaller, _cut(network, keeps, arrays_of(network)))
    return smaller


def prune_model(model: Model, keeps: Mapping[str, np.ndarray]) -> Model:
    """As :func:`prune`, with normalisation, classes, and the sensitivities of the weights that are left."""
    network = prune(model.network, keeps)
    sensitivity = None if model.sensitivity is None else _cut(model.network, keeps, model.sensitivity)
    return Model(network, model.normalisation, model.classes, sensitivity=sensitivity)


def _cut(
    network: Network, keeps: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The kept parts of ``arrays``, which have names and shapes of the network's own."""
    sizes = {group.name: group.size for group in network.filter_groups}
    channels = {name: np.flatnonzero(keep) for name, keep in keeps.items()}
    kept: dict[str, np.ndarray] = {}
    for stage in network.stages:
        for path, spec in stage.specs().items():
            name = f"{stage.name}.{path}"
            if name in arrays:
                kept[name] = cut(arrays[name], spec, sizes, channels)
    return kept
