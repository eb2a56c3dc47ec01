"""Wider layers with the same function: channels that are read with zeros, for runtimes that compute blocks."""

from collections.abc import Mapping

import numpy as np

from models.arrays import arrays_of, set_arrays
from models.axes import groups_of, rows
from models.contract import Network

BLOCK = 8
"""ONNX Runtime computes convolutions on a CPU in blocks of channels; docs/deployment.md has a measurement."""


def widen(network: Network, widths: Mapping[str, int]) -> Network:
    """Add channels that the next layers read with zeros.

    Each is a copy of the last channel, because whatever the network computes of a copy is finite: a network may
    divide by a channel, or take its logarithm.

    Args:
        network: left as it is.
        widths: group name -> channels, no fewer than the network has; absent groups stay.

    Returns:
        A network of the same class with the same logits, but for the order of sums.
    """
    sizes = {group.name: group.size for group in network.filter_groups}
    channels = {name: np.arange(width) for name, width in widths.items() if width > sizes[name]}
    arrays = arrays_of(network)
    for stage in network.stages:
        for path, spec in stage.specs().items():
            name = f"{stage.name}.{path}"
            over_channels = [number for number, axis in enumerate(spec.axes) if any(groups_of(axis))]
            made = (
                over_channels if len(over_channels) == 1 and spec.uses == 0 else [spec.outputs % len(spec.axes)]
            )
            for number in over_channels:
                axis = spec.axes[number]
                if any(group in channels for group in groups_of(axis)):
                    indices = rows(axis, sizes, channels)
                    beyond = indices >= arrays[name].shape[number]
                    arrays[name] = arrays[name].take(indices, axis=number, mode="clip")
                    if number not in made:
                        np.moveaxis(arrays[name], number, 0)[beyond] = 0
    wider = network.architecture.with_widths(dict(widths)).blank()
    set_arrays(wider, arrays)
    return wider


def rounded(network: Network, whole: Network, multiple: int) -> Network:
    """A pruned network with widths that are multiples of a number, or those of the ``whole`` network.

    Returns:
        ``network`` itself where all widths are.
    """
    sizes, widest = ({group.name: group.size for group in each.filter_groups} for each in (network, whole))
    widths = multiples(sizes, widest, multiple)
    return network if widths == sizes else widen(network, widths)


def multiples(sizes: Mapping[str, int], whole: Mapping[str, int], multiple: int) -> dict[str, int]:
    """For each group the next multiple of its size, at most the size of the ``whole`` group, at least its own."""
    return {name: max(size, min(-(-size // multiple) * multiple, whole[name])) for name, size in sizes.items()}
