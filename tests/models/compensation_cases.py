"""Networks and activations for the tests of compensation, without the code under test."""

import jax
import numpy as np

from models.state import arrays_of, set_arrays
from models.vgg import VGGArchitecture
from tests.models.residual import ResidualArchitecture

KINDS = {
    "plain": VGGArchitecture("any", ((5, 4), (6,)), (7,), 3, (8, 8, 2)),
    "batch-norm": VGGArchitecture("any", ((5,), (6,)), (), 3, (8, 8, 2), batch_norm=True),
    "residual": ResidualArchitecture(),
}


def built(kind):
    """A network whose biases, scales and statistics are not those of initialisation."""
    network = KINDS[kind].build(1)
    rng = np.random.default_rng(0)
    arrays = arrays_of(network)
    for name, array in arrays.items():
        if ".norm." in name:
            arrays[name] = rng.uniform(0.5, 2.0, array.shape).astype(np.float32)
        elif name.endswith("bias"):
            arrays[name] = rng.uniform(-0.2, 0.3, array.shape).astype(np.float32)
    set_arrays(network, arrays)
    return network


def rows_read_by_conv1_2(network, inputs):
    """``[positions, channels]`` of what the second convolution of a VGG reads: convolution, bias, ReLU."""
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
        for group, kernel, bias, _ in stage.readers():
            keep = keeps[group]
            found = compensation.coefficients(f"{stage.name}.{kernel}", keep)
            # [taps or positions, channels, outputs]
            weights = arrays[f"{stage.name}.{kernel}"]
            rows = weights.reshape(-1, len(keep), weights.shape[-1]).astype(np.float64)
            for tap in rows:
                arrays[f"{stage.name}.{bias}"] += (found.constant @ tap[~keep]).astype(np.float32)
                tap[keep] += found.matrix.T.astype(np.float64) @ tap[~keep]
            arrays[f"{stage.name}.{kernel}"] = rows.reshape(weights.shape).astype(np.float32)
    return arrays
