"""Convolution as XLA lowers it (cuDNN on a GPU)."""

from dataclasses import dataclass
from typing import Any

import jax
from jax import lax

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


@dataclass(frozen=True)
class Direct:
    """XLA's own, with a stride and a padding as XLA takes it; see :class:`models.lowering.contract.Lowering`."""

    stride: int = 1
    padding: Any = "SAME"

    def prepare(self, kernel: jax.Array) -> jax.Array:
        """The kernel as it is."""
        return kernel

    def convolve(self, inputs: jax.Array, prepared: jax.Array) -> jax.Array:
        """One convolution; float32 is float32, not the TF32 that GPUs default to."""
        return lax.conv_general_dilated(
            inputs,
            prepared,
            (self.stride, self.stride),
            self.padding,
            dimension_numbers=DIMENSIONS,
            precision=lax.Precision.HIGHEST,
        )

    def images_per_step(self, inputs: int, filters: int) -> int | None:
        """All at once."""
        return None
