"""Convolution as one matrix product for each output position, for the smallest feature maps."""

import jax
import jax.numpy as jnp


def convolve_positions(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """Stride-1 'SAME' convolution with a kernel of odd size.

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
