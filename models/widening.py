"""Wider layers with the same function: channels of zeros for runtimes that compute blocks of channels."""

from collections.abc import Mapping

import numpy as np

from models.arrays import arrays_of, set_arrays
from models.axes import groups_of, rows
from models.contract import Network

BLOCK = 8
"""ONNX Runtime computes convolutions on a CPU in blocks of channels; docs/deployment.md has a measurement."""


def widen(network: Network, widths: Mapping[str, int]) -> Network:
    """Add channels whose weights are zeros, and which the next layers read with zeros.

    Numbers of a channel, such as its bias or a variance, are ones there, so that nothing is divided by zero. The
    zeros that read the channel make them harmless.

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
            filling = int(spec.uses == 0 and len(over_channels) == 1)
            for number in over_channels:
                axis = spec.axes[number]
                if any(group in channels for group in groups_of(axis)):
                    indices = rows(axis, sizes, channels)
                    beyond = indices >= arrays[name].shape[number]
                    arrays[name] = arrays[name].take(indices, axis=number, mode="clip")
                    np.moveaxis(arrays[name], number, 0)[beyond] = filling
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
