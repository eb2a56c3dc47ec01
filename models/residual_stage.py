"""Two convolutions and a shortcut around them, as one prunable stage (He et al. 2016, arXiv:1512.03385)."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx

from models.lowering.steps import in_steps
from models.normed_convolution import NormedConvolution
from models.stages import ArraySpec, DType, Keeps, Reader, silence
from models.window import Window


class ResidualStage(nnx.Module):
    """Keep -> 3x3 convolution -> ReLU -> keep -> 3x3 convolution -> plus the shortcut -> ReLU.

    Carry: ``float32[b, height, width, inputs]`` -> ``float32[b, height', width', filters]``. Each convolution
    has batch norm. The shortcut is the carry itself, whose channels are then tied to those that come out
    (``reads == writes``); or, where they are of another group, a 1x1 convolution with batch norm.

    The channels between the convolutions are a group of their own, called like the stage.
    """

    def __init__(
        self,
        name: str,
        reads: str,
        writes: str,
        inputs: int,
        inner: int,
        filters: int,
        *,
        size: tuple[int, int],
        stride: int,
        rngs: nnx.Rngs,
    ):
        self.name = name
        self.reads: str | None = reads
        self.groups: tuple[str, ...] = (name,)
        self.writes: str | None = writes
        self.tied = writes
        window = Window((3, 3), stride)
        self.first = NormedConvolution(inputs, inner, size=size, window=window, batch_norm=True, rngs=rngs)
        self.second = NormedConvolution(
            inner, filters, size=window.outputs(size), window=Window((3, 3)), batch_norm=True, rngs=rngs
        )
        projection = Window((1, 1), stride)
        self.shortcut = (
            None
            if reads == writes
            else NormedConvolution(inputs, filters, size=size, window=projection, batch_norm=True, rngs=rngs)
        )

    def _layers(self) -> dict[str, tuple[NormedConvolution, str | None, str]]:
        """Attribute -> the layer, the group that it reads and the one that it writes."""
        layers = {"first": (self.first, self.reads, self.name), "second": (self.second, self.name, self.tied)}
        return layers if self.shortcut is None else layers | {"shortcut": (self.shortcut, self.reads, self.tied)}

    def specs(self) -> dict[str, ArraySpec]:
        """See :class:`models.stages.Stage`."""
        return {
            f"{part}.{path}": spec
            for part, (layer, reads, writes) in self._layers().items()
            for path, spec in layer.array_specs(reads, writes).items()
        }

    def readers(self) -> tuple[Reader, ...]:
        """See :class:`models.stages.Stage`."""
        return tuple(
            Reader(
                reads,
                f"{part}.convolution.kernel",
                f"{part}.convolution.bias",
                # :meth:`observe` leaves out what the stride of a shortcut skips.
                Window((1, 1)) if part == "shortcut" else layer.window,
            )
            for part, (layer, reads, _) in self._layers().items()
            if reads is not None
        )

    def observe(self, carry: jax.Array) -> dict[str, jax.Array]:
        """See :class:`models.stages.Stage`."""
        hidden = jax.nn.relu(self.first.convolved(carry, training=False))
        observed = {"first.convolution.kernel": carry, "second.convolution.kernel": hidden}
        if self.shortcut is not None:
            # One place in a stride is all that a 1x1 kernel sees.
            stride = self.shortcut.window.stride
            observed["shortcut.convolution.kernel"] = carry[:, ::stride, ::stride]
        return observed

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.stages.Stage`."""
        inputs = silence(carry, keeps, self.reads)
        hidden = jax.nn.relu(self.first.convolved(inputs, training))
        outputs = self.second.convolved(silence(hidden, keeps, self.name), training)
        passed = inputs if self.shortcut is None else self.shortcut.convolved(inputs, training)
        return jax.nn.relu(passed + outputs)

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> dict[str, dict[str, jax.Array]]:
        """See :class:`models.stages.Stage`."""
        prepared = {}
        for part, (layer, _, _) in self._layers().items():
            prefix = f"{part}."
            own = {path.removeprefix(prefix): arrays[path] for path in arrays if path.startswith(prefix)}
            prepared[part] = layer.folded(own, precision)
        return prepared

    def evaluate(self, prepared: Mapping[str, Any], carry: jax.Array, keeps: Keeps) -> jax.Array:
        """See :class:`models.stages.Stage`."""
        inner, precision = prepared["first"]["bias"].shape[0], prepared["first"]["bias"].dtype

        def unit(images: jax.Array) -> jax.Array:
            inputs = silence(images, keeps, self.reads).astype(precision)
            hidden = jax.nn.relu(self.first.fast(prepared["first"], inputs))
            outputs = self.second.fast(prepared["second"], silence(hidden, keeps, self.name))
            passed = inputs if self.shortcut is None else self.shortcut.fast(prepared["shortcut"], inputs)
            return jax.nn.relu(passed + outputs)

        wanted = (
            layer.lowering(inputs, precision).images_per_step(inputs, filters)
            for layer, inputs, filters in (
                (self.first, carry.shape[3], inner),
                (self.second, inner, prepared["second"]["bias"].shape[0]),
            )
        )
        return in_steps(unit, carry, min((images for images in wanted if images is not None), default=None))
