"""A dense layer with its activation and dropout, as one stage; the last one gives the logits."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from models.stages import Keeps, StageCost, silence


class DenseStage(nnx.Module):
    """[flatten] -> dense -> ReLU -> keep -> dropout; a head stops after the dense layer.

    Carry: ``float32[b, ..., inputs]`` -> ``float32[b, units]``. ``positions`` is the number of places
    (height x width) that are flattened in front of the layer: its kernel has ``positions * inputs`` rows,
    channels fastest.
    """

    def __init__(
        self,
        name: str,
        inputs: int,
        units: int,
        *,
        positions: int = 1,
        head: bool = False,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ):
        self.name = name
        self.groups: tuple[str, ...] = () if head else (name,)
        self.units = units
        self.positions = positions
        self.head = head
        # A head drawn as wide as the hidden layers starts with a loss far above log(classes) and, without
        # batch norm, the first steps then throw the network to a constant answer.
        scale = jax.nn.initializers.variance_scaling(0.1 if head else 2.0, "fan_in", "normal")
        self.dense = nnx.Linear(positions * inputs, units, kernel_init=scale, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.stages.Stage`."""
        outputs = self.dense(carry.reshape(carry.shape[0], -1))
        if self.head:
            return outputs
        outputs = silence(jax.nn.relu(outputs), keeps.get(self.name))
        return self.dropout(outputs, deterministic=not training, rngs=rngs)

    def cost(self, channels: np.ndarray, kept: Mapping[str, np.ndarray]) -> StageCost:
        """See :class:`models.stages.Stage`."""
        units = np.full_like(channels, self.units) if self.head else kept[self.name]
        weights = self.positions * channels * units
        return StageCost(weights + units, weights, units)

    def sliced(self, channels: np.ndarray, keeps: Keeps) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """See :class:`models.stages.Stage`."""
        keep = np.ones(self.units, bool) if self.head else keeps.get(self.name, np.ones(self.units, bool))
        bias = self.dense.bias
        assert bias is not None
        rows = np.tile(channels, self.positions)
        kernel = np.asarray(self.dense.kernel[...])
        arrays = {"dense.kernel": kernel[rows][:, keep], "dense.bias": np.asarray(bias[...])[keep]}
        return arrays, keep
