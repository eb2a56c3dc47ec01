"""Importance by the size of the weights.

Li et al. 2017, "Pruning Filters for Efficient ConvNets", arXiv:1608.08710: the L1 norm of a filter's kernel.
Muppalla and Kumar rank neurons by the L2 norm of their column of the weight matrix: the same for a dense layer.
"""

import numpy as np

from fitness.importance.contract import Subject
from fitness.importance.layers import joined, kernels, normalised, sums_by_channel
from models.arrays import arrays_of


def magnitude(subject: Subject, *, order: int = 1, by_layer: bool = True) -> np.ndarray:
    """L1 or L2 norm (``order``) of the weights that make a filter, without bias and batch norm.

    Both papers rank within a layer. ``by_layer`` divides the norms of a layer by their own L2 norm
    (:func:`fitness.importance.layers.normalised`), which makes one ranking of all layers meaningful and keeps the
    order within a layer. For channels tied by a shortcut, the weights of all kernels that make them count. Images
    are not used.
    """
    network = subject.model.network
    arrays, sizes = arrays_of(network), {group.name: group.size for group in network.filter_groups}
    norms = {}
    for name in subject.layout.names:
        powers = np.zeros(sizes[name])
        for kernel, spec in kernels(network, name).items():
            powers += sums_by_channel(np.abs(arrays[kernel].astype(np.float64)) ** order, spec, name, sizes)
        norms[name] = powers ** (1 / order)
    return joined(subject, normalised(norms) if by_layer else norms)
