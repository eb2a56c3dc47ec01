"""Neurons removed by the size of their weights, as Muppalla and Kumar describe and as their listing does it.

A neuron's size is the L2 norm of its column of the kernel, and each hidden layer loses the same share,
``percent * neurons / 100`` rounded down. The text deletes the neuron; the listing sets its column to zero and
leaves its bias, so that the neuron still answers ReLU(bias) for every image. Indented as the document prints
it, the listing also ranks wrongly: it removes neurons while it measures them. It then removes the neurons of
the later layers in their order, because their norms are still 0.
"""

from collections.abc import Mapping

import numpy as np

from experiments.studies.weight_pruning import prune_weights
from models.arrays import arrays_of
from models.contract import Network


def keep_largest(network: Network, percent: float) -> dict[str, np.ndarray]:
    """``bool[neurons]`` of each hidden dense layer by group name: without the smallest, of equals the first."""
    arrays = arrays_of(network)
    keeps = {}
    for group in network.filter_groups:
        norms = np.linalg.norm(arrays[kernel_name(group.name)].astype(np.float64), axis=0)
        keeps[group.name] = np.ones(group.size, bool)
        keeps[group.name][np.argsort(norms, kind="stable")[: _count(group.size, percent)]] = False
    return keeps


def keep_as_printed(network: Network, percent: float) -> dict[str, np.ndarray]:
    """As :func:`keep_largest` in the first layer; the later ones lose their first neurons (see above)."""
    keeps = keep_largest(network, percent)
    for group in network.filter_groups[1:]:
        keeps[group.name] = np.arange(group.size) >= _count(group.size, percent)
    return keeps


def zero_columns(network: Network, keeps: Mapping[str, np.ndarray]) -> Network:
    """The network with the columns of removed neurons at zero; their biases stay, and so do all shapes."""
    arrays = arrays_of(network)
    names = {group: kernel_name(group) for group in keeps}
    masks = {names[group]: np.broadcast_to(keep, arrays[names[group]].shape) for group, keep in keeps.items()}
    return prune_weights(network, masks).network


def kernel_name(group: str) -> str:
    """Of the kernel that makes the neurons of a dense layer, as in :func:`models.arrays.arrays_of`."""
    return f"{group}.dense.kernel"


def _count(size: int, percent: float) -> int:
    return int(percent * size / 100)
