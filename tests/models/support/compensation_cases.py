"""Networks and activations for the tests of compensation, without the code under test."""

import jax
import numpy as np

from models.arrays import arrays_of, set_arrays
from models.networks.vgg import VGGArchitecture
from tests.models.support.residual import ResidualArchitecture
from tests.models.support.small_networks import filled

KINDS = {
    "plain": VGGArchitecture("any", ((5, 4), (6,)), (7,), 3, (8, 8, 2)),
    "batch-norm": VGGArchitecture("any", ((5,), (6,)), (), 3, (8, 8, 2), batch_norm=True),
    "residual": ResidualArchitecture(),
}
FIRST_GROUP = {"plain": "conv1_1", "batch-norm": "conv1_1", "residual": "inner1"}
"""A group of 5 filters of each kind, each filter with a batch norm or bias of its own."""
_MAKER = {"plain": "conv1_1.", "batch-norm": "conv1_1.", "residual": "block1.first."}


def built(kind):
    """A network with random arrays; each call gives a new one."""
    return filled(KINDS[kind], 1)


def with_proportional_filters(network, kind, factor):
    """Make filter 3 of :data:`FIRST_GROUP` answer ``factor`` times as much as filter 1, in place."""
    arrays = arrays_of(network)
    for name, array in arrays.items():
        if name.startswith(_MAKER[kind]):
            # With batch norm, its scale and bias alone decide the factor.
            same = name.endswith(("mean", "var")) or (kind == "batch-norm" and ".convolution." in name)
            arrays[name] = array.copy()
            arrays[name][..., 3] = (1 if same else factor) * array[..., 1]
    set_arrays(network, arrays)


def rows_read_by_conv1_2(network, inputs):
    """``[positions, channels]`` of the input of a VGG's second convolution: convolution, bias, ReLU."""
    stage = network.stages[0]
    kernel = np.asarray(stage.convolution.kernel[...])
    numbers = ("NHWC", "HWIO", "NHWC")
    outputs = jax.lax.conv_general_dilated(inputs, kernel, (1, 1), "SAME", dimension_numbers=numbers)
    outputs = np.maximum(np.asarray(outputs) + np.asarray(stage.convolution.bias[...]), 0)
    return outputs.reshape(-1, outputs.shape[-1]).astype(np.float64)


def folded_by_hand(network, keeps, compensation):
    """Copies of all arrays, the removed rows of each reading kernel given to the kept ones, in NumPy alone."""
    arrays = {name: np.array(array) for name, array in arrays_of(network).items()}
    for stage in network.stages:
        for reader in stage.readers():
            kernel, bias, keep = reader.kernel, reader.bias, keeps[reader.group]
            found = compensation.coefficients(f"{stage.name}.{kernel}", keep)
            # [taps or positions, channels, outputs]
            weights = arrays[f"{stage.name}.{kernel}"]
            rows = weights.reshape(-1, len(keep), weights.shape[-1]).astype(np.float64)
            for tap in rows:
                arrays[f"{stage.name}.{bias}"] += (found.constant @ tap[~keep]).astype(np.float32)
                tap[keep] += found.matrix.T.astype(np.float64) @ tap[~keep]
            arrays[f"{stage.name}.{kernel}"] = rows.reshape(weights.shape).astype(np.float32)
    return arrays
