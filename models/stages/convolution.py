"""A convolution with its normalisation, activation and pooling, as one prunable stage."""

from collections.abc import Collection, Mapping
from typing import Any

import jax
from flax import nnx

from models.axes import ArraySpec
from models.contract import DType, Keeps, Matching, Norm, silence
from models.lowering.contract import in_steps
from models.lowering.convolution import POOLS, PoolName
from models.readers import Reader
from models.stages.activations import ACTIVATIONS, ActivationName
from models.stages.normed_convolution import NormedConvolution
from models.windows import Window


class ConvolutionStage(NormedConvolution):
    """Keep -> convolution -> [batch norm] -> activation -> [pool] -> dropout.

    Carry: ``float32[b, height, width, inputs]`` -> ``float32[b, height', width', filters]``.
    """

    def __init__(
        self,
        name: str,
        reads: str | None,
        inputs: int,
        filters: int,
        *,
        size: tuple[int, int],
        window: Window,
        batch_norm: bool,
        activation: ActivationName,
        pool: PoolName | None,
        dropout: float = 0.0,
        epsilon: float = 1e-5,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            inputs,
            filters,
            size=size,
            window=window,
            batch_norm=batch_norm,
            activation=activation,
            epsilon=epsilon,
            rngs=rngs,
        )
        self.name = name
        self.reads = reads
        self.groups: tuple[str, ...] = ()
        self.writes: str | None = name
        self.activation = activation
        self.pool = pool
        self.dropout = nnx.Dropout(dropout)

    def specs(self) -> dict[str, ArraySpec]:
        """See :class:`models.contract.Stage`."""
        return self.array_specs(self.reads, self.name)

    def readers(self) -> tuple[Reader, ...]:
        """See :class:`models.contract.Stage`."""
        if self.reads is None:
            return ()
        return (self.reader(self.reads, self.name, rectified=self.activation == "relu"),)

    def observe(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return {"convolution.kernel": carry}

    def sums(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return {"convolution.kernel": self.convolved(silence(carry, keeps, self.reads), training=False)}

    def maps(self, carry: jax.Array) -> dict[str, list[jax.Array]]:
        """See :class:`models.contract.Stage`."""
        return {self.name: [ACTIVATIONS[self.activation].function(self.convolved(carry, training=False))]}

    def norms(self) -> tuple[Norm, ...]:
        """See :class:`models.contract.Stage`."""
        return self.norms_reading(self.reads)

    def calibrate(
        self,
        arrays: Mapping[str, jax.Array],
        precision: DType,
        carry: jax.Array,
        keeps: Keeps,
        measured: Collection[Norm],
        matchings: Mapping[str, Matching] | None,
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """See :class:`models.contract.NormedStage`."""
        inputs = silence(carry, keeps, self.reads)
        matching = None if matchings is None else matchings.get("norm.mean")
        statistics, outputs = self.calibrated(arrays, precision, inputs, len(measured) > 0, matching)
        return statistics, self._activated(outputs).astype(precision)

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.contract.Stage`."""
        outputs = self._activated(self.convolved(silence(carry, keeps, self.reads), training))
        return self.dropout(outputs, deterministic=not training, rngs=rngs)

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return self.folded(arrays, precision)

    def evaluate(self, prepared: Mapping[str, jax.Array], carry: jax.Array, keeps: Keeps) -> jax.Array:
        """See :class:`models.contract.Stage`."""
        bias = prepared["bias"]

        def outputs(images: jax.Array) -> jax.Array:
            return self._activated(self.fast(prepared, silence(images, keeps, self.reads)))

        steps = self.lowering(carry.shape[3], bias.dtype).images_per_step(carry.shape[3], bias.shape[0])
        return in_steps(outputs, carry, steps)

    def _activated(self, outputs: jax.Array) -> jax.Array:
        outputs = ACTIVATIONS[self.activation].function(outputs)
        return outputs if self.pool is None else POOLS[self.pool](outputs)
