"""Depthwise convolution as sums of shifted maps.

XLA's CPU convolution computes depthwise kernels at some 0.1 GFLOP/s (24 channels, 5x5, jaxlib 0.10.2), a hundred
times slower than one fused loop of multiplications and additions, and its gradient likewise.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

MOST_TAPS = 121
"""Elements of a kernel up to which the sum is written out; larger kernels would make long programs."""


def is_depthwise(channels: int, kernel: Sequence[int], groups: int) -> bool:
    """Whether each filter of an HWIO kernel reads one of several channels, and the kernel is small."""
    return groups == channels > 1 and kernel[2] == 1 and kernel[0] * kernel[1] <= MOST_TAPS


def convolve_depthwise(
    inputs: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilations: Sequence[int],
) -> jax.Array:
    """Convolve NHWC inputs with an HWIO kernel ``[rows, columns, 1, channels x filters of each channel]``.

    The result is that of :func:`jax.lax.conv_general_dilated` up to rounding.

    Args:
        inputs: ``[b, height, width, channels]``.
        kernel: filters of one channel lie side by side.
        strides: of rows and columns.
        padding: zeros in front of and behind rows and columns; negative where the map is cropped.
        dilations: steps between two rows and two columns of the kernel.
    """
    around = [(0, 0, 0), *((before, behind, 0) for before, behind in padding), (0, 0, 0)]
    padded = lax.pad(inputs, jnp.zeros((), inputs.dtype), around)
    outputs = [
        (extent - (taps - 1) * dilation - 1) // stride + 1
        for extent, taps, dilation, stride in zip(
            padded.shape[1:3], kernel.shape[:2], dilations, strides, strict=True
        )
    ]
    each = kernel.shape[3] // inputs.shape[3]
    padded = jnp.repeat(padded, each, axis=3) if each > 1 else padded
    total = jnp.zeros((len(inputs), *outputs, kernel.shape[3]), inputs.dtype)
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            rows, columns = (
                slice(place * dilation, place * dilation + (count - 1) * stride + 1, stride)
                for place, dilation, count, stride in zip((row, column), dilations, outputs, strides, strict=True)
            )
            total += padded[:, rows, columns] * kernel[row, column, 0]
    return total
