"""Lowering of 2-D convolution and pooling, chosen by backend and shape.

XLA's CPU convolution falls from some 200 GFLOP/s to 2 on feature maps of 2x2 (512 channels, 2 cores,
jaxlib 0.10.2); there one matrix product for each position is two orders of magnitude faster. Where the
input has few channels (3), gathering patches for one matrix product is three times faster.
``experiments/benchmarks/convolution_lowering.py`` measures all three on every shape of a VGG-16.
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

SMALL_MAP = 4
"""Feature maps of at most this many positions take the positions lowering on CPU."""
FEW_CHANNELS = 4
"""Inputs of at most this many channels take the patches lowering on CPU."""


def convolve(
    inputs: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any, **options: Any
) -> jax.Array:
    """Convolve NHWC inputs with an HWIO kernel; the hook for ``flax.nnx.Conv``'s ``conv_general_dilated``.

    Same result as :func:`jax.lax.conv_general_dilated` up to rounding. The patches lowering serves plain
    stride-1 'SAME' convolutions with odd kernels on CPU; everything else goes to XLA.
    """
    lowering = choose_lowering(inputs.shape, kernel.shape, strides, padding, jax.default_backend())
    if lowering == "positions":
        return convolve_positions(inputs, kernel)
    if lowering == "patches":
        return convolve_patches(inputs, kernel)
    return lax.conv_general_dilated(inputs, kernel, strides, padding, **options)


def choose_lowering(
    inputs: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: Any, backend: str
) -> Literal["xla", "patches", "positions"]:
    """The fastest lowering, as far as measured, for these NHWC and HWIO shapes."""
    if backend != "cpu" or padding != "SAME" or any(stride != 1 for stride in strides):
        return "xla"
    if inputs[3] != kernel[2] or kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
        return "xla"
    if inputs[1] * inputs[2] <= SMALL_MAP:
        return "positions"
    return "patches" if inputs[3] <= FEW_CHANNELS else "xla"


def convolve_positions(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """Stride-1 'SAME' convolution as one matrix product for each output position.

    A position multiplies the part of the map that it sees with the part of the kernel that sees the map, so
    nothing is multiplied with padding: on a 2x2 map 4 of 9 taps.
    """
    images, height, width, _ = inputs.shape
    rows, columns, _, filters = kernel.shape
    outputs = []
    for y in range(height):
        top, bottom = max(0, y - rows // 2), min(height, y + rows // 2 + 1)
        for x in range(width):
            left, right = max(0, x - columns // 2), min(width, x + columns // 2 + 1)
            seen = inputs[:, top:bottom, left:right].reshape(images, -1)
            first_row, first_column = top - y + rows // 2, left - x + columns // 2
            taps = kernel[first_row : first_row + bottom - top, first_column : first_column + right - left]
            outputs.append(seen @ taps.reshape(-1, filters))
    return jnp.stack(outputs, axis=1).reshape(images, height, width, filters)


def convolve_patches(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """Stride-1 'SAME' convolution as one matrix product over gathered patches."""
    images, height, width, channels = inputs.shape
    rows, columns, _, filters = kernel.shape
    padded = jnp.pad(inputs, ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)))
    # Taps that only ever see padding are left out.
    taps = [
        (row, column)
        for row in range(rows)
        for column in range(columns)
        if abs(row - rows // 2) < height and abs(column - columns // 2) < width
    ]
    patches = jnp.concatenate(
        [padded[:, row : row + height, column : column + width] for row, column in taps], axis=-1
    )
    weights = jnp.concatenate([kernel[row, column] for row, column in taps], axis=0)
    product = patches.reshape(images * height * width, len(taps) * channels) @ weights
    return product.reshape(images, height, width, filters)


def max_pool(inputs: jax.Array) -> jax.Array:
    """2x2 maximum with stride 2 over NHWC; an odd last row or column is dropped, as in PyTorch."""
    return lax.reduce_window(inputs, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
