"""Merges a filter into its twin before the filter is removed.

Asaraf Ali merges the most similar units of a dense layer one by one. Both functions also merge filters of
convolutions. They leave all shapes as they are: the merged filter is then masked, or cut by
:func:`models.pruning.prune`.
"""

from collections.abc import Iterator

import numpy as np

from models.arrays import arrays_of, set_arrays
from models.axes import ArraySpec, Axis, groups_of, rows
from models.contract import Network
from models.errors import PruningError


def merge_outgoing(network: Network, group: str, removed: int, twin: int, scale: float) -> Network:
    """Add the scaled outgoing weights of the removed filter to those of the twin.

    ``W[twin] += scale * W[removed]`` in every kernel that reads the group. If the removed filter's activations
    are ``scale`` times the twin's wherever they are read, the network computes the same without the removed
    filter. The least-squares factor gives the smallest error at the readers. Channels that a shortcut carries
    past the kernels cannot be merged and are lost.

    Args:
        network: left as it is.
        group: the filter group of the two.
        removed: channel to be removed afterwards.
        twin: channel that takes its place.
        scale: factor from the twin's activation to the removed one's.

    Raises:
        PruningError: no such group or channels, or a kernel reads the group joined to others.
    """
    _check(network, group, removed, twin)
    sizes = {each.name: each.size for each in network.filter_groups}
    arrays = arrays_of(network)
    for name, spec in _kernels(network):
        for number, axis in enumerate(spec.axes[:-1]):
            if group not in groups_of(axis):
                continue
            if not isinstance(axis, Axis):
                raise PruningError(
                    f"filters of layer {group!r} cannot be merged: {name} reads several layers joined."
                )
            weights = np.moveaxis(np.array(arrays[name]), number, 0)
            to, of = (rows(axis, sizes, {group: np.array([channel])}) for channel in (twin, removed))
            weights[to] += np.float32(scale) * weights[of]
            arrays[name] = np.moveaxis(weights, 0, number)
    return _filled(network, arrays)


def merge_incoming(network: Network, group: str, removed: int, twin: int) -> Network:
    """The rule of Asaraf Ali: add the removed filter's incoming weights and bias to those of the twin.

    This does not keep the function, even for identical units: the twin then answers ``f(z + z)`` instead of
    ``f(z)``, and the removed filter's own outgoing weights are lost. It would keep the function only for a
    linear activation and equal outgoing weights of the two. The rule is here to repeat the experiment of the
    document, which trains again after each step; :func:`merge_outgoing` keeps the function.

    Arguments and errors as for :func:`merge_outgoing`. Batch norm stays the twin's.
    """
    _check(network, group, removed, twin)
    arrays = arrays_of(network)
    for name, spec in _kernels(network):
        if group in groups_of(spec.axes[-1]):
            for array in (name, f"{name.rpartition('.')[0]}.bias"):
                if array in arrays:
                    summed = np.array(arrays[array])
                    summed[..., twin] += summed[..., removed]
                    arrays[array] = summed
    return _filled(network, arrays)


def _kernels(network: Network) -> Iterator[tuple[str, ArraySpec]]:
    """Arrays of two or more axes, output channels last, by their names in :func:`arrays_of`."""
    for stage in network.stages:
        for path, spec in stage.specs().items():
            if len(spec.axes) > 1:
                yield f"{stage.name}.{path}", spec


def _check(network: Network, group: str, removed: int, twin: int) -> None:
    sizes = {each.name: each.size for each in network.filter_groups}
    if group not in sizes:
        raise PruningError(f"the network has no layer {group!r}; it has {', '.join(sizes)}.")
    size = sizes[group]
    if removed == twin or not (0 <= removed < size and 0 <= twin < size):
        raise PruningError(
            f"filters to merge must be two of 0 to {size - 1} in layer {group!r}, not {removed} and {twin}."
        )


def _filled(network: Network, arrays: dict[str, np.ndarray]) -> Network:
    merged = network.architecture.blank()
    set_arrays(merged, arrays)
    return merged
