"""What all methods share: kernels of a filter, the choice of the lowest number, one vector of all layers."""

from collections.abc import Mapping

import numpy as np

from fitness.importance.contract import ImportanceError, Subject
from models.axes import Axis, Joined, extent, groups_of, parts_of
from models.contract import Network


def joined(subject: Subject, layers: Mapping[str, np.ndarray]) -> np.ndarray:
    """Numbers ``[group size]`` of each group as one ``float64[n_filters]`` in the order of the layout.

    Raises:
        ImportanceError: a number is not finite.
    """
    for name in subject.layout.names:
        if not np.isfinite(layers[name]).all():
            raise ImportanceError(
                f"the importance of layer {name!r} is not finite, so weights or activations of the network are "
                "NaN, infinite or too large; train it anew, with a lower `learning_rate` or `clip_norm`."
            )
    return np.concatenate([layers[name] for name in subject.layout.names]).astype(np.float64)


def normalised(layers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each layer's numbers divided by their L2 norm (Molchanov et al. 2017, arXiv:1611.06440).

    Makes layers comparable: their raw numbers differ by orders of magnitude. A layer of zeros does not change.
    """
    norms = {name: np.linalg.norm(numbers) for name, numbers in layers.items()}
    return {name: numbers / (norms[name] or 1.0) for name, numbers in layers.items()}


SAME = 1e-9
"""Numbers whose difference is a smaller share of them are equal: their last digits depend on the processor."""


def first_of_lowest(numbers: np.ndarray, magnitudes: np.ndarray) -> int:
    """The first index of the lowest number, where numbers that differ by rounding alone are equal.

    Args:
        numbers: ``float64[n]``; infinite for those that are not to be chosen.
        magnitudes: ``float64[n]``, of the terms that each number is the sum of.
    """
    return int(np.argmax(numbers <= numbers.min() + SAME * magnitudes))


def kernels(network: Network, group: str) -> dict[str, Axis | Joined]:
    """Kernel, named as in :func:`models.arrays.arrays_of`, -> its last axis; for the kernels that make a group.

    Several kernels make channels that are tied by a shortcut. Biases, batch norm and the copies of a shortcut
    without weights are no kernels.
    """
    return {
        f"{stage.name}.{path}": axis
        for stage in network.stages
        for path, spec in stage.specs().items()
        if spec.trained
        and len(spec.axes) > 1
        and not isinstance(axis := spec.axes[-1], int)
        and group in groups_of(axis)
    }


def sums_by_channel(array: np.ndarray, axis: Axis | Joined, group: str, sizes: Mapping[str, int]) -> np.ndarray:
    """``float64[group size]``: the sum of the elements of an array that belong to each channel of a group.

    Args:
        array: ``[..., extent of the axis]``.
        axis: the last axis of the array.
        group: one of its groups.
        sizes: channels of each group of the network.
    """
    by_index = array.reshape(-1, array.shape[-1]).sum(axis=0, dtype=np.float64)
    places = by_index.reshape(axis.positions if isinstance(axis, Joined) else 1, -1)
    sums, start = np.zeros(sizes[group]), 0
    for part in parts_of(axis):
        length = extent(part, sizes)
        if isinstance(part, Axis) and part.group == group:
            own = places[:, start : start + length]
            sums += own.reshape(-1, part.positions, sizes[group], part.run).sum(axis=(0, 1, 3))
        start += length
    return sums
