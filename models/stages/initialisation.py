"""The weights that a layer starts with, drawn by NumPy: no shape of a kernel costs a compilation."""

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_BOUND = 2.0
_DEVIATION = 0.87962566103423978
"""Standard deviation of a standard normal that is cut off at :data:`_BOUND` on both sides."""


def fan_in_normal(gain: float, *, truncated: bool = False) -> Callable[..., jax.Array]:
    """An initialiser of Flax: a normal distribution of variance ``gain / fan-in``, perhaps without its tails.

    The distributions are those of ``jax.nn.initializers.variance_scaling``, which compiles a program for each
    shape. Where the key is traced, as under ``jax.eval_shape``, that function is used.
    """
    traced = jax.nn.initializers.variance_scaling(gain, "fan_in", "truncated_normal" if truncated else "normal")

    def initialise(
        key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32, out_sharding: Any = None
    ) -> jax.Array:
        if isinstance(key, jax.core.Tracer):
            return traced(key, shape, dtype)
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
        drawn = rng.standard_normal(shape)
        while truncated and (beyond := np.abs(drawn) > _BOUND).any():
            drawn[beyond] = rng.standard_normal(np.count_nonzero(beyond))
        deviation = sqrt(gain / prod(shape[:-1])) / (_DEVIATION if truncated else 1)
        return jnp.asarray(drawn * deviation, dtype)

    return initialise
