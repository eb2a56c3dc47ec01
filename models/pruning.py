"""From a network and a mask to the physically smaller network of the same class."""

from collections.abc import Mapping

import numpy as np

from models.errors import PruningError
from models.stages import Axis, Network
from models.state import arrays_of, set_arrays
from models.store import Model


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
    indices = {name: np.flatnonzero(keep) for name, keep in keeps.items()}
    cut: dict[str, np.ndarray] = {}
    for stage in network.stages:
        for path, spec in stage.specs().items():
            name = f"{stage.name}.{path}"
            if name not in arrays:
                continue
            kept = arrays[name]
            for number, axis in enumerate(spec.axes):
                if isinstance(axis, Axis) and axis.group in indices:
                    rows = np.arange(axis.positions)[:, None] * sizes[axis.group] + indices[axis.group]
                    kept = np.take(kept, rows.ravel(), axis=number)
            cut[name] = kept
    return cut
