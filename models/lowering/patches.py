"""Convolution as one matrix product over gathered patches (im2col), for inputs of few channels in training."""

import jax
import jax.numpy as jnp


def convolve_patches(inputs: jax.Array, kernel: jax.Array, *, padded: bool = True) -> jax.Array:
    """Stride-1 convolution: 'SAME' with a kernel of odd size, or not padded ('VALID') with one of any size."""
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
