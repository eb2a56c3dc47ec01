"""Convolution and pooling as networks call them, in training as in evaluation.

XLA's CPU convolution falls from some 200 GFLOP/s to 2 on feature maps of 2x2 (512 channels, 2 cores, jaxlib
0.10.2); one matrix product for each position is two orders of magnitude faster there. For inputs of few
channels (3), gathering patches for one matrix product is three times faster, and ten times within a loop on the
device, where XLA uses its slowest convolution. The lowerings of :mod:`models.lowering.choice` are faster still
where the kernel is transformed once for many batches.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import numpy as np
from jax import lax

from models.lowering.choice import target
from models.lowering.matrix_products import convolve_patches, convolve_positions

FEW_CHANNELS = 4
"""Inputs of at most this many channels take the patches lowering on CPU."""
FEW_CHANNELS_UNPADDED = 8
"""The same for convolutions without padding (LeNet)."""
SMALL_MAP = 4
"""Feature maps of at most this many positions take the positions lowering on CPU."""


def convolve(
    inputs: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any, **options: Any
) -> jax.Array:
    """Convolve NHWC inputs with an HWIO kernel; the hook for ``flax.nnx.Conv``'s ``conv_general_dilated``.

    The result is that of :func:`jax.lax.conv_general_dilated` up to rounding. On CPU, patches and positions serve
    plain stride-1 'SAME' convolutions with odd kernels, and patches also 'VALID' ones; XLA computes all others.
    """
    lowering = choose_lowering(inputs.shape, kernel.shape, strides, padding, target())
    if lowering == "positions":
        return convolve_positions(inputs, kernel)
    if lowering == "patches":
        return convolve_patches(inputs, kernel, padded=padding == "SAME")
    return lax.conv_general_dilated(inputs, kernel, strides, padding, **options)


def choose_lowering(
    inputs: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: Any, backend: str
) -> Literal["xla", "patches", "positions"]:
    """The fastest lowering, as far as measured, for these NHWC and HWIO shapes."""
    if backend != "cpu" or any(stride != 1 for stride in strides) or inputs[3] != kernel[2]:
        return "xla"
    if padding == "VALID":
        return "patches" if inputs[3] <= FEW_CHANNELS_UNPADDED else "xla"
    if padding != "SAME" or kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
        return "xla"
    if inputs[1] * inputs[2] <= SMALL_MAP:
        return "positions"
    return "patches" if inputs[3] <= FEW_CHANNELS else "xla"


def max_pool(inputs: jax.Array) -> jax.Array:
    """2x2 maximum with stride 2 over NHWC; an odd last row or column is dropped, as in PyTorch."""
    # A NumPy scalar, not an array of JAX's: only a known constant makes this a maximum that has a gradient.
    lowest = np.array(-np.inf, inputs.dtype)
    return lax.reduce_window(inputs, lowest, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def average_pool(inputs: jax.Array) -> jax.Array:
    """2x2 mean with stride 2 over NHWC; an odd last row or column is dropped, as in PyTorch."""
    zero = np.array(0, inputs.dtype)
    return lax.reduce_window(inputs, zero, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


def overlapping_pool(inputs: jax.Array) -> jax.Array:
    """3x3 maximum with stride 2 over NHWC, one place of padding around: PyTorch's ``MaxPool2d(3, 2, 1)``."""
    lowest = np.array(-np.inf, inputs.dtype)
    around = ((0, 0), (1, 1), (1, 1), (0, 0))
    return lax.reduce_window(inputs, lowest, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), around)


PoolName = Literal["max", "average", "overlapping"]
POOLS: dict[PoolName, Callable[[jax.Array], jax.Array]] = {
    "max": max_pool,
    "average": average_pool,
    "overlapping": overlapping_pool,
}


def pooled_size(size: tuple[int, int], pool: PoolName | None) -> tuple[int, int]:
    """Height and width behind a pool, of a map of ``size``."""
    if pool is None:
        return size
    odd = pool == "overlapping"
    return (size[0] + odd) // 2, (size[1] + odd) // 2
