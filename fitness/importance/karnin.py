"""Importance by the sensitivity of the training error to each weight, gathered while training.

Karnin 1990, "A simple procedure for pruning back-propagation trained neural networks", IEEE Transactions on
Neural Networks 1(2), 239-242, as in Khanal 2018. A weight that ends at its initial value would divide by zero;
its sensitivity is 0, as in Khanal.
"""

import numpy as np

from fitness.importance.contract import ImportanceError, Subject
from fitness.importance.layers import joined, kernels, sums_by_channel
from models.arrays import arrays_of


def karnin(subject: Subject) -> np.ndarray:
    """Sensitivities summed over the synapses that make a filter, brought to [0, 1] in each layer.

    Single sensitivities and sums may be negative. As in Khanal, the lowest number of a layer becomes 0 and the
    highest 1, which keeps the order. A layer of equal numbers gets 1/2. For channels tied by a shortcut the sum
    runs over the synapses of all kernels that make them.

    Raises:
        ImportanceError: training did not track the sensitivity, or the sensitivity is of another network.
    """
    sensitivity = subject.model.sensitivity
    if sensitivity is None:
        raise ImportanceError(
            "karnin needs the sensitivity that is gathered during training; train the model with "
            "`track_sensitivity` or leave karnin out."
        )
    network = subject.model.network
    arrays, sizes = arrays_of(network), {group.name: group.size for group in network.filter_groups}
    sums = {}
    for name in subject.layout.names:
        total = np.zeros(sizes[name])
        for kernel, spec in kernels(network, name).items():
            synapses = sensitivity.get(kernel)
            if synapses is None or synapses.shape != arrays[kernel].shape:
                raise ImportanceError(
                    f"the sensitivity is not of this network: {kernel!r} is missing or has another shape; train "
                    "the model anew with `track_sensitivity` or leave karnin out."
                )
            total += sums_by_channel(synapses, spec, name, sizes)
        sums[name] = total
    return joined(subject, {name: _from_0_to_1(total) for name, total in sums.items()})


def _from_0_to_1(numbers: np.ndarray) -> np.ndarray:
    lowest, highest = numbers.min(), numbers.max()
    if lowest == highest:
        return np.full(len(numbers), 0.5)
    return (numbers - lowest) / (highest - lowest)
