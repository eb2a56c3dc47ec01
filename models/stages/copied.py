"""A shortcut without weights, which copies channels beside channels of zeros (He et al. 2016, option A)."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from models.axes import ArraySpec, Axis


class CopiedChannels(nnx.Module):
    """Every ``stride``-th row and column, whose channels come behind ``zeros`` channels of zeros.

    ``float32[b, height, width, inputs]`` -> ``float32[b, height', width', filters]``. Channel ``c`` goes to
    channel ``zeros + c``; all other channels of the output are zero.

    The copies are a 1x1 kernel of zeros and ones, ``selection``. It is no parameter, because nothing is learnt,
    and costs no MACs, because a runtime needs only to copy. A pruned network has the rows and columns of the
    channels that are left, so that each one goes to the same channel as before, or nowhere.
    """

    def __init__(self, inputs: int, filters: int, zeros: int, stride: int):
        self.stride = stride
        self.selection = nnx.BatchStat(jnp.asarray(selection(inputs, filters, zeros)))

    def array_specs(self, reads: str, writes: str) -> dict[str, ArraySpec]:
        """The arrays by variable path, between the channels of two groups."""
        return {"selection": ArraySpec((1, 1, Axis(reads), Axis(writes)), trained=False)}

    def convolved(self, carry: jax.Array, training: bool) -> jax.Array:
        """The copies."""
        return self.fast({"selection": self.selection[...]}, carry)

    def fast(self, prepared: Mapping[str, Any], carry: jax.Array) -> jax.Array:
        """As :meth:`convolved`; ``carry`` may lack channels."""
        kernel = prepared["selection"]
        return lax.conv_general_dilated(
            carry,
            kernel,
            (self.stride, self.stride),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=lax.Precision.HIGHEST,
        )


def selection(inputs: int, filters: int, zeros: int) -> np.ndarray:
    """``float32[1, 1, inputs, filters]``: 1 where a channel is copied, ``zeros`` channels further on."""
    return np.eye(inputs, filters, zeros, dtype=np.float32)[None, None]
