"""Convolution as matrix products: over gathered patches (im2col), or one for each output position."""

import jax
import jax.numpy as jnp


def convolve_patches(inputs: jax.Array, kernel: jax.Array, *, padded: bool = True) -> jax.Array:
    """Stride-1 convolution as one matrix product over gathered patches, for inputs of few channels.

    ``inputs``: ``[b, height, width, channels]``; ``kernel``: ``[rows, columns, channels, filters]``. Padding is
    'SAME' and needs odd rows and columns, or 'VALID' without ``padded``.
    """
    images, height, width, channels = inputs.shape
    rows, columns, _, filters = kernel.shape
    taps = [(row, column) for row in range(rows) for column in range(columns)]
    if padded:
        # Taps that only ever see padding are left out.
        taps = [
            (row, column)
            for row, column in taps
            if abs(row - rows // 2) < height and abs(column - columns // 2) < width
        ]
        around = ((rows // 2, rows // 2), (columns // 2, columns // 2))
        inputs = jnp.pad(inputs, ((0, 0), *around, (0, 0)))
    else:
        height, width = height - rows + 1, width - columns + 1
    patches = jnp.concatenate(
        [inputs[:, row : row + height, column : column + width] for row, column in taps], axis=-1
    )
    weights = jnp.concatenate([kernel[row, column] for row, column in taps], axis=0)
    product = patches.reshape(images * height * width, len(taps) * channels) @ weights
    return product.reshape(images, height, width, filters)


def convolve_positions(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """Stride-1 'SAME' convolution with a kernel of odd size, for the smallest feature maps.

    Each output position multiplies the part of the map that it sees with the part of the kernel that sees the
    map. So nothing is multiplied with padding: on a 2x2 map 4 of 9 taps are used.
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
