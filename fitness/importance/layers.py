"""What all methods share: kernels of a filter, the choice of the lowest number, one vector of all layers."""

from collections.abc import Mapping

import numpy as np

from fitness.importance.contract import ImportanceError, Subject
from models.axes import ArraySpec, groups_of, places
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


def kernels(network: Network, group: str) -> dict[str, ArraySpec]:
    """Kernel, named as in :func:`models.arrays.arrays_of`, -> its axes; for the kernels that make a group.

    Several kernels make channels that are tied by a shortcut. Biases, batch norm and the copies of a shortcut
    without weights are no kernels.
    """
    return {
        f"{stage.name}.{path}": spec
        for stage in network.stages
        for path, spec in stage.specs().items()
        if spec.trained and len(spec.axes) > 1 and group in groups_of(spec.axes[spec.outputs])
    }


def sums_by_channel(array: np.ndarray, spec: ArraySpec, group: str, sizes: Mapping[str, int]) -> np.ndarray:
    """``float64[group size]``: the sum of the elements of an array that belong to each channel of a group.

    Args:
        array: with the axes of ``spec``.
        spec: its outputs run over the group, perhaps among others.
        group: see ``spec``.
        sizes: channels of each group of the network.
    """
    return sums_by_output(by_output(array, spec).sum(axis=1), spec, group, sizes)


def by_output(array: np.ndarray, spec: ArraySpec) -> np.ndarray:
    """The elements of an array as ``float64[outputs, elements of an output]``."""
    outputs = np.moveaxis(array, spec.outputs, 0)
    return outputs.reshape(len(outputs), -1).astype(np.float64)


def sums_by_output(by_index: np.ndarray, spec: ArraySpec, group: str, sizes: Mapping[str, int]) -> np.ndarray:
    """As :func:`sums_by_channel`, from a number for each output of the array, ``float64[outputs]``."""
    return by_index[places(spec.axes[spec.outputs], group, sizes)].sum(axis=0)
