"""A dense layer with its activation and dropout, as one prunable stage; the last one gives the logits."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from models.axes import ArraySpec, Axis
from models.contract import DType, Keeps, Norm, silence
from models.readers import Reader, Sum, unit_gain
from models.stages.activations import ACTIVATIONS, ActivationName
from models.stages.initialisation import fan_in_normal


class DenseStage(nnx.Module):
    """Keep -> [flatten or average] -> dense -> activation -> dropout; a head stops after the dense layer.

    Carry: ``float32[b, ..., inputs]`` -> ``float32[b, units]``. ``positions`` is the number of places
    (height x width) that are flattened in front of the layer: its kernel has ``positions * inputs`` rows,
    channels fastest. With ``averaged`` the mean over all places is taken instead (global average pooling).
    """

    def __init__(
        self,
        name: str,
        reads: str | None,
        inputs: int,
        units: int,
        *,
        positions: int = 1,
        averaged: bool = False,
        head: bool = False,
        activation: ActivationName = "relu",
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
        self.averaged = averaged
        self.head = head
        self.activation = activation
        # Head weights as large as those of hidden layers start with a loss far above log(classes). Without
        # batch norm, the first steps then drive the network to a constant answer.
        scale = fan_in_normal(0.1 if head else ACTIVATIONS[activation].gain)
        self.dense = nnx.Linear(positions * inputs, units, kernel_init=scale, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)

    def specs(self) -> dict[str, ArraySpec]:
        """See :class:`models.contract.Stage`."""
        rows = self.positions * self.inputs if self.reads is None else Axis(self.reads, self.positions)
        columns = self.units if self.writes is None else Axis(self.writes)
        return {"dense.kernel": ArraySpec((rows, columns), uses=1), "dense.bias": ArraySpec((columns,))}

    def readers(self) -> tuple[Reader, ...]:
        """See :class:`models.contract.Stage`."""
        if self.reads is None:
            return ()
        columns = self.units if self.writes is None else Axis(self.writes)
        rows, added = Axis(self.reads, self.positions), Sum(unit_gain, self._rectified())
        return (Reader(self.reads, "dense.kernel", "dense.bias", rows, columns, sum=added),)

    def observe(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return {"dense.kernel": self._vectors(carry)}

    def sums(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return {"dense.kernel": self.dense(self._vectors(silence(carry, keeps, self.reads)))}

    def maps(self, carry: jax.Array) -> dict[str, list[jax.Array]]:
        """See :class:`models.contract.Stage`."""
        return {} if self.writes is None else {self.writes: [self(carry, {})]}

    def norms(self) -> tuple[Norm, ...]:
        """See :class:`models.contract.Stage`."""
        return ()

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.contract.Stage`."""
        outputs = self.dense(self._vectors(silence(carry, keeps, self.reads)))
        if self.head:
            return outputs
        activated = ACTIVATIONS[self.activation].function(outputs)
        return self.dropout(activated, deterministic=not training, rngs=rngs)

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return {name: arrays[f"dense.{name}"].astype(precision) for name in ("kernel", "bias")}

    def evaluate(self, prepared: Mapping[str, jax.Array], carry: jax.Array, keeps: Keeps) -> jax.Array:
        """See :class:`models.contract.Stage`. Logits are ``float32`` whatever the weights are."""
        kernel = prepared["kernel"]
        inputs = self._vectors(silence(carry, keeps, self.reads)).astype(kernel.dtype)
        outputs = jnp.matmul(
            inputs, kernel, precision=jax.lax.Precision.HIGHEST, preferred_element_type=jnp.float32
        )
        outputs = outputs + prepared["bias"].astype(jnp.float32)
        return outputs if self.head else ACTIVATIONS[self.activation].function(outputs).astype(kernel.dtype)

    def _rectified(self) -> bool:
        return not self.head and self.activation == "relu"

    def _vectors(self, carry: jax.Array) -> jax.Array:
        """``[b, ...]`` -> ``[b, rows of the kernel]``."""
        if self.averaged:
            return carry.astype(jnp.float32).mean((1, 2))
        return carry.reshape(carry.shape[0], -1)
