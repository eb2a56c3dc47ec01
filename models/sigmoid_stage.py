"""The logistic function as a stage of its own, behind the last layer."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx

from models.stages import ArraySpec, DType, Keeps, Reader


class SigmoidStage(nnx.Module):
    """Carry: ``float32[b, classes]`` -> the same, between 0 and 1. Has no arrays and nothing to prune."""

    def __init__(self, name: str):
        self.name = name
        self.reads: str | None = None
        self.groups: tuple[str, ...] = ()
        self.writes: str | None = None

    def specs(self) -> dict[str, ArraySpec]:
        """See :class:`models.stages.Stage`."""
        return {}

    def readers(self) -> tuple[Reader, ...]:
        """See :class:`models.stages.Stage`."""
        return ()

    def observe(self, carry: jax.Array) -> dict[str, jax.Array]:
        """See :class:`models.stages.Stage`."""
        return {}

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.stages.Stage`."""
        return jax.nn.sigmoid(carry)

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> dict[str, jax.Array]:
        """See :class:`models.stages.Stage`."""
        return {}

    def evaluate(self, prepared: Mapping[str, jax.Array], carry: jax.Array, keeps: Keeps) -> jax.Array:
        """See :class:`models.stages.Stage`."""
        return jax.nn.sigmoid(carry)
