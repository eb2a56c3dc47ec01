"""A convolution with its batch norm, if it has one: the part that the stages of all networks share."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx

from models.activations import ACTIVATIONS, ActivationName
from models.backend import target
from models.convolution import convolve
from models.lowering.choice import choose
from models.lowering.contract import Lowering
from models.stages import ArraySpec, Axis, DType
from models.window import Window


class NormedConvolution(nnx.Module):
    """Convolution with bias -> [batch norm]; what comes before and behind is for the stage to say.

    ``float32[b, height, width, inputs]`` -> ``float32[b, height', width', filters]``. ``size`` is the height
    and width that come in. Initialised for the activation that follows.
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        *,
        size: tuple[int, int],
        window: Window,
        batch_norm: bool,
        activation: ActivationName = "relu",
        rngs: nnx.Rngs,
    ):
        self.inputs = inputs
        self.filters = filters
        self.size = size
        self.window = window
        gain = ACTIVATIONS[activation].gain
        self.convolution = nnx.Conv(
            inputs,
            filters,
            window.kernel,
            strides=window.stride,
            padding=window.padding,
            kernel_init=jax.nn.initializers.variance_scaling(gain, "fan_in", "truncated_normal"),
            conv_general_dilated=convolve,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(filters, momentum=0.9, rngs=rngs) if batch_norm else None

    def array_specs(self, reads: str | None, writes: str) -> dict[str, ArraySpec]:
        """Its arrays, by variable path, where it reads and writes the channels of these groups."""
        outputs = Axis(writes)
        axes = (*self.window.kernel, self.inputs if reads is None else Axis(reads), outputs)
        height, width = self.window.outputs(self.size)
        specs = {
            "convolution.kernel": ArraySpec(axes, uses=height * width),
            "convolution.bias": ArraySpec((outputs,)),
        }
        if self.norm is not None:
            specs |= {f"norm.{part}": ArraySpec((outputs,)) for part in ("scale", "bias")}
            specs |= {f"norm.{part}": ArraySpec((outputs,), trained=False) for part in ("mean", "var")}
        return specs

    def convolved(self, carry: jax.Array, training: bool) -> jax.Array:
        """The layer as it is trained; batch norm then uses the batch's statistics, and notes them."""
        outputs = self.convolution(carry)
        return outputs if self.norm is None else self.norm(outputs, use_running_average=not training)

    def folded(self, arrays: Mapping[str, jax.Array], precision: DType) -> dict[str, jax.Array]:
        """What :meth:`fast` takes: kernel and bias with batch norm folded in, lowered and in ``precision``."""
        kernel, bias = arrays["convolution.kernel"], arrays["convolution.bias"]
        if self.norm is not None:
            scale = arrays["norm.scale"] * jax.lax.rsqrt(arrays["norm.var"] + self.norm.epsilon)
            kernel = kernel * scale
            bias = (bias - arrays["norm.mean"]) * scale + arrays["norm.bias"]
        lowering = self.lowering(kernel.shape[2], precision)
        return {"kernel": lowering.prepare(kernel).astype(precision), "bias": bias.astype(precision)}

    def fast(self, prepared: Mapping[str, jax.Array], carry: jax.Array) -> jax.Array:
        """As :meth:`convolved` without training, up to rounding; ``carry`` may lack channels."""
        bias = prepared["bias"]
        inputs = carry.astype(bias.dtype)
        return self.lowering(carry.shape[3], bias.dtype).convolve(inputs, prepared["kernel"]) + bias

    def lowering(self, inputs: int, precision: Any) -> Lowering:
        """The fastest for ``inputs`` channels."""
        return choose(self.size, self.window, inputs, target(), precision)
