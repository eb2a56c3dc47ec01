"""A convolution with its normalisation, activation and pooling, as one prunable stage."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx

from models.backend import target
from models.convolution import convolve, max_pool
from models.lowering.choice import choose
from models.lowering.contract import Lowering
from models.lowering.steps import in_steps
from models.stages import ArraySpec, Axis, DType, Keeps, silence

KERNEL = 3


class ConvolutionStage(nnx.Module):
    """Keep -> 3x3 'SAME' convolution -> [batch norm] -> ReLU -> [2x2 max pool].

    Carry: ``float32[b, height, width, inputs]`` -> ``float32[b, height', width', filters]``.
    He initialisation (He et al. 2015, arXiv:1502.01852).
    """

    def __init__(
        self,
        name: str,
        reads: str | None,
        inputs: int,
        filters: int,
        *,
        size: tuple[int, int],
        batch_norm: bool,
        pool: bool,
        rngs: nnx.Rngs,
    ):
        self.name = name
        self.reads = reads
        self.groups: tuple[str, ...] = ()
        self.writes: str | None = name
        self.inputs = inputs
        self.size = size
        self.filters = filters
        self.pool = pool
        self.convolution = nnx.Conv(
            inputs,
            filters,
            (KERNEL, KERNEL),
            padding="SAME",
            kernel_init=jax.nn.initializers.he_normal(),
            conv_general_dilated=convolve,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(filters, momentum=0.9, rngs=rngs) if batch_norm else None

    def specs(self) -> dict[str, ArraySpec]:
        """See :class:`models.stages.Stage`."""
        outputs = Axis(self.name)
        axes = (KERNEL, KERNEL, self.inputs if self.reads is None else Axis(self.reads), outputs)
        specs = {
            "convolution.kernel": ArraySpec(axes, uses=self.size[0] * self.size[1]),
            "convolution.bias": ArraySpec((outputs,)),
        }
        if self.norm is not None:
            specs |= {f"norm.{part}": ArraySpec((outputs,)) for part in ("scale", "bias")}
            specs |= {f"norm.{part}": ArraySpec((outputs,), trained=False) for part in ("mean", "var")}
        return specs

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.stages.Stage`."""
        outputs = self.convolution(silence(carry, keeps, self.reads))
        if self.norm is not None:
            outputs = self.norm(outputs, use_running_average=not training)
        outputs = jax.nn.relu(outputs)
        return max_pool(outputs) if self.pool else outputs

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> dict[str, jax.Array]:
        """See :class:`models.stages.Stage`. Batch norm is folded into kernel and bias."""
        kernel, bias = arrays["convolution.kernel"], arrays["convolution.bias"]
        if self.norm is not None:
            scale = arrays["norm.scale"] * jax.lax.rsqrt(arrays["norm.var"] + self.norm.epsilon)
            kernel = kernel * scale
            bias = (bias - arrays["norm.mean"]) * scale + arrays["norm.bias"]
        lowering = self._lowering(kernel.shape[2], precision)
        return {"kernel": lowering.prepare(kernel).astype(precision), "bias": bias.astype(precision)}

    def evaluate(self, prepared: Mapping[str, jax.Array], carry: jax.Array, keeps: Keeps) -> jax.Array:
        """See :class:`models.stages.Stage`."""
        bias = prepared["bias"]
        lowering = self._lowering(carry.shape[3], bias.dtype)

        def convolved(images: jax.Array) -> jax.Array:
            inputs = silence(images, keeps, self.reads).astype(bias.dtype)
            outputs = jax.nn.relu(lowering.convolve(inputs, prepared["kernel"]) + bias)
            return max_pool(outputs) if self.pool else outputs

        return in_steps(convolved, carry, lowering.images_per_step(carry.shape[3], bias.shape[0]))

    def _lowering(self, inputs: int, precision: DType) -> Lowering:
        return choose(self.size, (KERNEL, KERNEL), inputs, target(), precision)
