"""Muppalla and Kumar's neuron pruning, against their listing replayed line by line."""

import math

import numpy as np
import pytest

from experiments.studies.reproductions import neuron_pruning
from models.arrays import arrays_of
from models.networks.mlp import MLPArchitecture

SIZES = (12, 9, 8, 5)


@pytest.fixture(scope="module")
def network():
    return MLPArchitecture("small", (), SIZES, 3, (2, 3, 1)).build(4)


def test_each_layer_loses_its_smallest_neurons(network):
    keeps = neuron_pruning.keep_largest(network, 50)
    arrays = arrays_of(network)
    for name, size in zip(("fc1", "fc2", "fc3", "fc4"), SIZES, strict=True):
        norms = [math.sqrt(sum(w * w for w in column)) for column in arrays[f"{name}.dense.kernel"].T.tolist()]
        assert len(keeps[name]) == size
        assert (~keeps[name]).sum() == size // 2
        assert max(np.array(norms)[~keeps[name]]) < min(np.array(norms)[keeps[name]])


def test_zeroed_columns_leave_the_bias_and_all_else(network):
    keeps = neuron_pruning.keep_largest(network, 40)
    before, after = arrays_of(network), arrays_of(neuron_pruning.zero_columns(network, keeps))
    for name, array in before.items():
        expected = array.copy()
        group = name.split(".")[0]
        if name.endswith("kernel") and group in keeps:
            for column in np.flatnonzero(~keeps[group]):
                expected[:, column] = 0
        np.testing.assert_array_equal(after[name], expected)


@pytest.mark.parametrize("percents", [(0, 25, 50, 60), (80, 99)])
def test_the_listing_as_it_is_printed(network, percents):
    arrays = arrays_of(network)
    kernels = [arrays[f"fc{layer}.dense.kernel"].copy() for layer in (1, 2, 3, 4)]
    for percent in percents:
        _listing(kernels, percent)
        ours = arrays_of(neuron_pruning.zero_columns(network, neuron_pruning.keep_as_printed(network, percent)))
        for layer, kernel in enumerate(kernels, 1):
            np.testing.assert_array_equal(ours[f"fc{layer}.dense.kernel"], kernel)


def _listing(kernels, percent):
    """``neuronprune`` of the document, indented as there, on arrays that it changes and is given again."""
    sums = [np.zeros(kernel.shape[1]) for kernel in kernels]
    columns = [np.zeros(kernel.shape[1], int) for kernel in kernels]
    for layer, measured in enumerate(kernels):
        sums[layer] = np.sqrt((measured.astype(np.float64) ** 2).sum(0))
        for ranked in range(4):
            columns[ranked] = np.argsort(sums[ranked], kind="stable")
            for i in range(len(columns)):
                for j in range(int((percent / 100) * len(columns[i]))):
                    kernels[i][:, columns[i][j]] = 0
