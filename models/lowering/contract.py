"""The contract of a lowering, a way to compute a convolution, and its evaluation a few images at a time."""

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp


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
        """The number of images whose intermediate results fit the caches; None if it does not matter."""
        ...


def in_steps(function: Callable[[jax.Array], jax.Array], carry: jax.Array, images: int | None) -> jax.Array:
    """``function(carry)``, computed for at most ``images`` rows of ``carry`` at a time within one program.

    ``function`` must treat rows independently. Small steps keep its intermediate results in the caches.
    """
    batch = carry.shape[0]
    if images is None or batch <= images:
        return function(carry)
    size = next((size for size in range(images, images // 2, -1) if batch % size == 0), images)
    steps = -(-batch // size)
    padding = [(0, steps * size - batch)] + [(0, 0)] * (carry.ndim - 1)
    parts = jnp.pad(carry, padding).reshape(steps, size, *carry.shape[1:])
    outputs = jax.lax.map(function, parts)
    return outputs.reshape(steps * size, *outputs.shape[2:])[:batch]
