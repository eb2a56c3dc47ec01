"""The contract of a lowering: how a convolution is computed."""

from typing import Protocol

import jax


class Lowering(Protocol):
    """A convolution of NHWC inputs with an HWIO kernel.

    Split in two, so that work on the kernel is done once for many batches.
    """

    def prepare(self, kernel: jax.Array) -> jax.Array:
        """``[rows, columns, inputs, filters]`` -> the kernel in the form that :meth:`convolve` takes."""
        ...

    def convolve(self, inputs: jax.Array, prepared: jax.Array) -> jax.Array:
        """``[b, height, width, inputs]`` -> ``[b, height', width', filters]``."""
        ...

    def images_per_step(self, inputs: int, filters: int) -> int | None:
        """How many images at a time keep intermediate results in the caches; None: as many as there are."""
        ...
