"""What the methods share: filters by layer, the kernels that make them, and one vector in the end."""

from collections.abc import Mapping

import numpy as np

from fitness.importance.contract import Subject
from fitness.importance.errors import ImportanceError
from models.stages import Axis, Network


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


def kernels(network: Network, group: str) -> list[str]:
    """Names, as in :func:`models.state.arrays_of`, of the kernels whose last axis makes a group's channels.

    Channels tied by a shortcut are made by several. Biases and batch norm are no kernels.
    """
    return [
        f"{stage.name}.{path}"
        for stage in network.stages
        for path, spec in stage.specs().items()
        if len(spec.axes) > 1 and isinstance(spec.axes[-1], Axis) and spec.axes[-1].group == group
    ]
