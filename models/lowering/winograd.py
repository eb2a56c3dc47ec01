"""3x3 convolution by minimal filtering, as one batched matrix product between linear transforms.

Lavin & Gray 2016 (arXiv:1509.09308). F(4x4, 3x3) multiplies 36 times for 16 outputs where the definition
multiplies 144 times; a 2x2 map takes 9 instead of 36. In float32 the largest rounding error is a few times
that of the definition.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from models.lowering.bilinear import Bilinear, for_axis

CACHED = 65536
"""Tiles x channels (in and out) whose 36 transforms, some 9.4 MB, stay in the caches of one core."""
FEWEST_TILES = 128
"""Rows of the matrix products below which their speed falls."""


@dataclass(frozen=True)
class Winograd:
    """Stride 1 and 'SAME', on maps of ``height`` x ``width``; see :class:`models.lowering.contract.Lowering`."""

    height: int
    width: int

    @property
    def _axes(self) -> tuple[Bilinear, Bilinear]:
        return for_axis(self.height), for_axis(self.width)

    def prepare(self, kernel: jax.Array) -> jax.Array:
        """``[3, 3, inputs, filters]`` -> ``[products, inputs, filters]``."""
        rows, columns = self._axes
        # As one matrix product: 50 times the speed of an einsum over two axes of 3.
        transform = jnp.asarray(np.kron(rows.kernel, columns.kernel), kernel.dtype)
        taps = kernel.reshape(9, -1)
        return jnp.matmul(transform, taps, precision=jax.lax.Precision.HIGHEST).reshape(-1, *kernel.shape[2:])

    def convolve(self, inputs: jax.Array, prepared: jax.Array) -> jax.Array:
        """See :class:`models.lowering.contract.Lowering`."""
        rows, columns = self._axes
        images, height, width, channels = inputs.shape
        down, across = rows.tiles(height), columns.tiles(width)
        padding = [(0, 0), _padding(rows, height), _padding(columns, width), (0, 0)]
        padded = jnp.pad(inputs, padding)

        # Both transforms are stacked halfway. Otherwise XLA computes the first half again for each output of the
        # second: up to a fifth slower, and two to three times as long to compile.
        parts = [padded[:, _every(rows, down, i)] for i in range(rows.inputs.shape[1])]
        lines = jnp.stack(_combined(rows.butterfly, _combined(rows.inputs, parts)))
        parts = [lines[:, :, :, _every(columns, across, j)] for j in range(columns.inputs.shape[1])]
        tiles = jnp.stack(_combined(columns.butterfly, _combined(columns.inputs, parts)), axis=1)

        products = jnp.einsum(
            "tmi,tif->tmf",
            tiles.reshape(-1, images * down * across, channels),
            prepared,
            precision=jax.lax.Precision.HIGHEST,
        ).reshape(rows.products, columns.products, images, down, across, -1)

        # Stacked so that the axes come out in order. [column product, image, down, row of tile, across, filter]
        lines = jnp.stack(_combined(rows.outputs, _combined(rows.butterfly.T, list(products))), axis=3)
        # [image, down, row of tile, across, column of tile, filter]
        outputs = jnp.stack(_combined(columns.outputs, _combined(columns.butterfly.T, list(lines))), axis=4)
        whole = outputs.reshape(images, down * rows.step, across * columns.step, -1)
        return whole[:, :height, :width]

    def images_per_step(self, inputs: int, filters: int) -> int | None:
        """As many as keep the transforms in the caches and the matrix products efficient; a power of 2."""
        rows, columns = self._axes
        tiles = rows.tiles(self.height) * columns.tiles(self.width)
        images = max(CACHED // (tiles * (inputs + filters)), -(-FEWEST_TILES // tiles))
        return 1 << (images.bit_length() - 1)


def _padding(axis: Bilinear, size: int) -> tuple[int, int]:
    return (1, axis.tiles(size) * axis.step + 1 - size) if axis.tiled else (0, 0)


def _every(axis: Bilinear, tiles: int, first: int) -> slice:
    """The inputs number ``first`` of all tiles."""
    return slice(first, first + axis.step * (tiles - 1) + 1, axis.step)


def _combined(matrix: np.ndarray, parts: Sequence[jax.Array]) -> list[jax.Array]:
    """``matrix @ parts`` for a sparse matrix, written out."""
    rows = []
    for row in matrix:
        terms = [_scaled(weight, part) for weight, part in zip(row, parts, strict=True) if weight != 0]
        rows.append(sum(terms[1:], start=terms[0]))
    return rows


def _scaled(weight: float, part: jax.Array) -> jax.Array:
    if weight == 1:
        return part
    return -part if weight == -1 else float(weight) * part
