"""Importance by distance from the other filters of the layer: a filter amid the others is replaceable.

He et al. 2019, "Filter Pruning via Geometric Median for Deep Convolutional Neural Networks Acceleration" (CVPR),
arXiv:1811.00250, equations 7 and 8: the filters whose summed distance to all others is smallest are nearest to
the geometric median of the layer, and leave first.
"""

import numpy as np

from fitness.importance.contract import Subject
from fitness.importance.layers import by_output, joined, kernels, normalised, sums_by_output
from models.arrays import arrays_of
from models.compensation.coefficients import one_thread


def fpgm(subject: Subject) -> np.ndarray:
    """Sum of the Euclidean distances from a filter's kernel to all other kernels of its layer.

    The paper ranks within a layer. The sums of a layer are divided by their own L2 norm, as those of
    :func:`fitness.importance.magnitude.magnitude`. For channels tied by a shortcut, the distances in all kernels
    that make them count. Bias, batch norm and images are not used.
    """
    network = subject.model.network
    arrays, sizes = arrays_of(network), {group.name: group.size for group in network.filter_groups}
    sums = {}
    for name in subject.layout.names:
        total = np.zeros(sizes[name])
        for kernel, spec in kernels(network, name).items():
            total += sums_by_output(summed_distances(by_output(arrays[kernel], spec)), spec, name, sizes)
        sums[name] = total
    return joined(subject, normalised(sums))


def summed_distances(points: np.ndarray) -> np.ndarray:
    """``float64[n]``: the distances from each of the points ``float64[n, k]`` to all others, summed."""
    # Distances do not change, and their squares lose fewer digits near the origin.
    centred = points - points.mean(axis=0)
    with one_thread():
        products = centred @ centred.T
    squares = np.diag(products)
    distances: np.ndarray = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))
    return distances.sum(axis=1)
