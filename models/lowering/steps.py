"""Running a function over a batch a few images at a time, within one program."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def in_steps(function: Callable[[jax.Array], jax.Array], carry: jax.Array, images: int | None) -> jax.Array:
    """``function(carry)``, computed for at most ``images`` rows of ``carry`` at a time.

    ``function`` treats rows independently. Keeps what it holds in between small enough for the caches.
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
