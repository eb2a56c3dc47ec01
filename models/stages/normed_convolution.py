"""A convolution with an optional batch norm, the part that the convolution stages share."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from models.axes import ArraySpec, Axis
from models.contract import DType, Matching, Norm
from models.lowering.choice import choose, target
from models.lowering.contract import Lowering, in_steps
from models.lowering.convolution import convolve
from models.readers import Reader, Sum, unit_gain
from models.stages.activations import ACTIVATIONS, ActivationName
from models.stages.initialisation import fan_in_normal
from models.windows import Window


class NormedConvolution(nnx.Module):
    """Convolution with bias -> [batch norm]; the stage adds everything before and behind.

    ``float32[b, height, width, inputs]`` -> ``float32[b, height', width', filters]``. ``size`` is the height
    and width of the input. The initialisation suits the activation that follows. ``epsilon`` is batch norm's.
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
        epsilon: float = 1e-5,
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
            kernel_init=fan_in_normal(gain, truncated=True),
            conv_general_dilated=convolve,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(filters, momentum=0.9, epsilon=epsilon, rngs=rngs) if batch_norm else None

    def array_specs(self, reads: str | None, writes: str) -> dict[str, ArraySpec]:
        """The arrays by variable path, for a layer that reads and writes the channels of these groups."""
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

    def reader(self, reads: str, writes: str, *, within: str = "", rectified: bool, alone: bool = True) -> Reader:
        """The reader of this layer, which reads and writes the channels of these groups.

        ``within`` precedes its paths. ``rectified`` and ``alone`` are those of the :class:`models.readers.Sum`.
        """
        added = Sum(unit_gain, rectified, alone)
        if self.norm is not None:
            gain = partial(_norms_gain, f"{within}norm", self.norm.epsilon)
            added = Sum(gain, rectified, alone, frozenset({f"{within}norm.scale", f"{within}norm.var"}))
        return Reader(
            reads,
            f"{within}convolution.kernel",
            f"{within}convolution.bias",
            Axis(reads),
            Axis(writes),
            self.window.sliding,
            sum=added,
        )

    def convolved(self, carry: jax.Array, training: bool) -> jax.Array:
        """The layer as it is trained; in training, batch norm uses and records the batch's statistics."""
        outputs = self.convolution(carry)
        return outputs if self.norm is None else self.norm(outputs, use_running_average=not training)

    def norms_reading(self, *groups: str | None, within: str = "") -> tuple[Norm, ...]:
        """The batch norm, if there is one, whose input changes with ``groups``; ``within`` precedes its paths."""
        if self.norm is None:
            return ()
        seen = tuple(group for group in groups if group is not None)
        return (Norm(f"{within}norm.mean", f"{within}norm.var", seen, f"{within}norm.scale"),)

    def calibrated(
        self,
        arrays: Mapping[str, jax.Array],
        precision: DType,
        carry: jax.Array,
        measure: bool,
        matching: Matching | None,
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """The statistics of all rows of ``carry``, if they are measured, and ``float32`` outputs behind them.

        ``arrays`` hold those of :meth:`array_specs`; the layer has a batch norm. ``matching`` is as for
        :meth:`models.contract.NormedStage.calibrate`.
        """
        assert self.norm is not None, "nothing to measure"
        kernel, bias = arrays["convolution.kernel"], arrays["convolution.bias"]
        lowering = self.lowering(kernel.shape[2], precision)
        plain = {"kernel": lowering.prepare(kernel).astype(precision), "bias": bias.astype(precision)}
        steps = lowering.images_per_step(kernel.shape[2], kernel.shape[3])
        outputs = in_steps(partial(self.fast, plain), carry, steps).astype(jnp.float32)
        mean, variance = arrays["norm.mean"], arrays["norm.var"]
        statistics = {}
        if measure and matching is None:
            statistics = dict(zip(("norm.mean", "norm.var"), moments(outputs), strict=True))
        elif measure and matching is not None:
            mean, variance = matching.of(*moments(outputs))
            statistics = {"norm.mean": mean, "norm.var": variance}
        scale = arrays["norm.scale"] * jax.lax.rsqrt(variance + self.norm.epsilon)
        return statistics, (outputs - mean) * scale + arrays["norm.bias"]

    def folded(self, arrays: Mapping[str, jax.Array], precision: DType) -> dict[str, jax.Array]:
        """Kernel and bias for :meth:`fast`: batch norm folded in, lowered, in ``precision``."""
        kernel, bias = arrays["convolution.kernel"], arrays["convolution.bias"]
        if self.norm is not None:
            scale = _norms_gain("norm", self.norm.epsilon, arrays, {})
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
        """The fastest lowering for ``inputs`` channels."""
        return choose(self.size, self.window, inputs, target(), precision)


def _norms_gain(
    norm: str, epsilon: float, arrays: Mapping[str, jax.Array], widths: Mapping[str, int]
) -> jax.Array:
    """By how much a norm's output grows if its input grows by 1: ``float32[channels]``."""
    return arrays[f"{norm}.scale"] * jax.lax.rsqrt(arrays[f"{norm}.var"] + epsilon)


def moments(outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and variance of the channels of ``float32[b, height, width, c]``: ``float32[c]`` each.

    Two passes, so that a mean far from zero costs the variance no digits; first over each map and then over the
    maps, so that no sum in float32 has a million terms.
    """
    mean = outputs.mean((1, 2)).mean(0)
    return mean, jnp.square(outputs - mean).mean((1, 2)).mean(0)
