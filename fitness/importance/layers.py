"""What the methods share: filters by layer, the kernels that make them, and one vector in the end."""

from collections.abc import Mapping

import numpy as np

from fitness.importance.contract import Subject
from fitness.importance.errors import ImportanceError
from models.axes import extent, groups_of, parts_of
from models.stages import Axis, Joined, Network


def joined(subject: Subject, layers: Mapping[str, np.ndarray]) -> np.ndarray:
    """Numbers ``[group size]`` of each group as one ``float64[n_filters]`` in the order of the layout.

    Raises:
        ImportanceError: one is not finite.
    """
    for name in subject.layout.names:
        if not np.isfinite(layers[name]).all():
            raise ImportanceError(
                f"the importance of layer {name!r} is not finite, so weights or activations of the network are "
                "NaN, infinite or too large; train it anew, with a lower --learning-rate or --clip-norm."
            )
    return np.concatenate([layers[name] for name in subject.layout.names]).astype(np.float64)


def normalised(layers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each layer's numbers divided by their L2 norm (Molchanov et al. 2017, arXiv:1611.06440).

    Makes layers comparable, whose raw numbers differ by orders of magnitude. A layer of zeros stays as it is.
    """
    norms = {name: np.linalg.norm(numbers) for name, numbers in layers.items()}
    return {name: numbers / (norms[name] or 1.0) for name, numbers in layers.items()}


def kernels(network: Network, group: str) -> dict[str, Axis | Joined]:
    """Kernels that make a group's channels, named as in :func:`models.state.arrays_of`, with their last axis.

    Channels tied by a shortcut are made by several. Biases and batch norm are no kernels.
    """
    return {
        f"{stage.name}.{path}": axis
        for stage in network.stages
        for path, spec in stage.specs().items()
        if len(spec.axes) > 1 and not isinstance(axis := spec.axes[-1], int) and group in groups_of(axis)
    }


def sums_by_channel(array: np.ndarray, axis: Axis | Joined, group: str, sizes: Mapping[str, int]) -> np.ndarray:
    """``float64[group size]``: of an array, all that belongs to each channel of a group.

    Args:
        array: ``[..., extent of the axis]``.
        axis: what the last axis runs over.
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
