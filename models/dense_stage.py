"""A dense layer with its activation and dropout, as one stage; the last one gives the logits."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from models.stages import ArraySpec, Axis, DType, Keeps, Reader, silence


class DenseStage(nnx.Module):
    """Keep -> [flatten] -> dense -> ReLU -> dropout; a head stops after the dense layer.

    Carry: ``float32[b, ..., inputs]`` -> ``float32[b, units]``. ``positions`` is the number of places
    (height x width) that are flattened in front of the layer: its kernel has ``positions * inputs`` rows,
    channels fastest.
    """

    def __init__(
        self,
        name: str,
        reads: str | None,
        inputs: int,
        units: int,
        *,
        positions: int = 1,
        head: bool = False,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ):
        self.name = name
        self.reads = reads
        self.groups: tuple[str, ...] = ()
        self.writes = None if head else name
        self.inputs = inputs
        self.units = units
        self.positions = positions
        self.head = head
        # A head drawn as wide as the hidden layers starts with a loss far above log(classes) and, without
        # batch norm, the first steps then throw the network to a constant answer.
        scale = jax.nn.initializers.variance_scaling(0.1 if head else 2.0, "fan_in", "normal")
        self.dense = nnx.Linear(positions * inputs, units, kernel_init=scale, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)

    def specs(self) -> dict[str, ArraySpec]:
        """See :class:`models.stages.Stage`."""
        rows = self.positions * self.inputs if self.reads is None else Axis(self.reads, self.positions)
        columns = self.units if self.writes is None else Axis(self.writes)
        return {"dense.kernel": ArraySpec((rows, columns), uses=1), "dense.bias": ArraySpec((columns,))}

    def readers(self) -> tuple[Reader, ...]:
        """See :class:`models.stages.Stage`."""
        return () if self.reads is None else (Reader(self.reads, "dense.kernel", "dense.bias"),)

    def observe(self, carry: jax.Array) -> dict[str, jax.Array]:
        """See :class:`models.stages.Stage`."""
        return {"dense.kernel": carry}

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.stages.Stage`."""
        outputs = self.dense(_flat(silence(carry, keeps, self.reads)))
        if self.head:
            return outputs
        return self.dropout(jax.nn.relu(outputs), deterministic=not training, rngs=rngs)

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> dict[str, jax.Array]:
        """See :class:`models.stages.Stage`."""
        return {name: arrays[f"dense.{name}"].astype(precision) for name in ("kernel", "bias")}

    def evaluate(self, prepared: Mapping[str, jax.Array], carry: jax.Array, keeps: Keeps) -> jax.Array:
        """See :class:`models.stages.Stage`. Logits are ``float32`` whatever the weights are."""
        kernel = prepared["kernel"]
        inputs = _flat(silence(carry, keeps, self.reads)).astype(kernel.dtype)
        outputs = jnp.matmul(
            inputs, kernel, precision=jax.lax.Precision.HIGHEST, preferred_element_type=jnp.float32
        )
        outputs = outputs + prepared["bias"].astype(jnp.float32)
        return outputs if self.head else jax.nn.relu(outputs).astype(kernel.dtype)


def _flat(carry: jax.Array) -> jax.Array:
    return carry.reshape(carry.shape[0], -1)
