"""Two convolutions and a shortcut around them, as one prunable stage (He et al. 2016, arXiv:1512.03385)."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from models.axes import ArraySpec
from models.contract import DType, Keeps, Matching, Norm, silence
from models.lowering.contract import in_steps
from models.readers import Reader
from models.stages.copied import CopiedChannels
from models.stages.normed_convolution import NormedConvolution
from models.windows import Window


class ResidualStage(nnx.Module):
    """Keep -> 3x3 convolution -> ReLU -> keep -> 3x3 convolution -> plus the shortcut -> ReLU.

    Carry: ``float32[b, height, width, inputs]`` -> ``float32[b, height', width', filters]``. Each convolution
    has batch norm. The shortcut is the carry itself, whose channels are then tied to those that come out
    (``reads == writes``). Where they are of another group, the shortcut is a 1x1 convolution with batch norm, or
    :class:`models.stages.copied.CopiedChannels` behind ``zeros`` channels of zeros.

    The channels between the convolutions are a group with the name of the stage.
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
        zeros: int | None = None,
        epsilon: float = 1e-5,
        rngs: nnx.Rngs,
    ):
        self.name = name
        self.reads: str | None = reads
        self.groups: tuple[str, ...] = (name,)
        self.writes: str | None = writes
        self.tied = writes
        window = Window((3, 3), stride)
        normed = partial(NormedConvolution, batch_norm=True, epsilon=epsilon, rngs=rngs)
        self.first = normed(inputs, inner, size=size, window=window)
        self.second = normed(inner, filters, size=window.outputs(size), window=Window((3, 3)))
        shortcut: NormedConvolution | CopiedChannels | None = None
        if reads != writes and zeros is None:
            shortcut = normed(inputs, filters, size=size, window=Window((1, 1), stride))
        elif reads != writes and zeros is not None:
            shortcut = CopiedChannels(inputs, filters, zeros, stride)
        # Flax takes no module in the place of a None that was there before.
        self.shortcut = shortcut

    def _layers(self) -> dict[str, tuple[NormedConvolution, str | None, str]]:
        """Attribute -> the layer, the group that it reads and the group that it writes."""
        layers = {"first": (self.first, self.reads, self.name), "second": (self.second, self.name, self.tied)}
        if isinstance(self.shortcut, NormedConvolution):
            layers["shortcut"] = (self.shortcut, self.reads, self.tied)
        return layers

    def specs(self) -> dict[str, ArraySpec]:
        """See :class:`models.contract.Stage`."""
        parts = [
            (part, layer.array_specs(reads, writes)) for part, (layer, reads, writes) in self._layers().items()
        ]
        if isinstance(self.shortcut, CopiedChannels) and self.reads is not None:
            parts.append(("shortcut", self.shortcut.array_specs(self.reads, self.tied)))
        return {f"{part}.{path}": spec for part, specs in parts for path, spec in specs.items()}

    def readers(self) -> tuple[Reader, ...]:
        """See :class:`models.contract.Stage`."""
        found = []
        for part, (layer, reads, writes) in self._layers().items():
            if reads is not None:
                reader = layer.reader(reads, writes, within=f"{part}.", rectified=True, alone=part == "first")
                # :meth:`observe` leaves out the places that the stride of a shortcut skips.
                window = Window((1, 1)) if part == "shortcut" else layer.window
                found.append(reader._replace(sliding=window.sliding))
        return tuple(found)

    def observe(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        carry = silence(carry, keeps, self.reads)
        hidden = jax.nn.relu(self.first.convolved(carry, training=False))
        observed = {"first.convolution.kernel": carry, "second.convolution.kernel": hidden}
        if isinstance(self.shortcut, NormedConvolution):
            # A 1x1 kernel sees one place in a stride.
            stride = self.shortcut.window.stride
            observed["shortcut.convolution.kernel"] = carry[:, ::stride, ::stride]
        return observed

    def sums(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        inputs = silence(carry, keeps, self.reads)
        first = self.first.convolved(inputs, training=False)
        whole = self._whole(inputs, silence(jax.nn.relu(first), keeps, self.name), training=False)
        return {
            "first.convolution.kernel": first,
            "second.convolution.kernel": whole,
            "shortcut.convolution.kernel": whole,
        }

    def maps(self, carry: jax.Array) -> dict[str, list[jax.Array]]:
        """See :class:`models.contract.Stage`."""
        return {
            self.name: [jax.nn.relu(self.first.convolved(carry, training=False))],
            self.tied: [self(carry, {})],
        }

    def norms(self) -> tuple[Norm, ...]:
        """See :class:`models.contract.Stage`."""
        seen = {"first": (self.reads,), "second": (self.reads, self.name), "shortcut": (self.reads,)}
        return tuple(
            norm
            for part, (layer, _, _) in self._layers().items()
            for norm in layer.norms_reading(*seen[part], within=f"{part}.")
        )

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
        paths = {norm.mean for norm in measured}
        statistics: dict[str, jax.Array] = {}

        def normed(part: str, layer: NormedConvolution, maps: jax.Array) -> jax.Array:
            own = _within(arrays, part)
            path = f"{part}.norm.mean"
            matching = None if matchings is None else matchings.get(path)
            found, outputs = layer.calibrated(own, precision, maps, path in paths, matching)
            statistics.update({f"{part}.{path}": array for path, array in found.items()})
            return outputs

        inputs = silence(carry, keeps, self.reads)
        hidden = jax.nn.relu(normed("first", self.first, inputs)).astype(precision)
        outputs = normed("second", self.second, silence(hidden, keeps, self.name))
        if isinstance(self.shortcut, NormedConvolution):
            passed = normed("shortcut", self.shortcut, inputs)
        elif self.shortcut is not None:
            passed = self.shortcut.fast(_within(arrays, "shortcut"), inputs.astype(jnp.float32))
        else:
            passed = inputs
        return statistics, jax.nn.relu(passed + outputs).astype(precision)

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.contract.Stage`."""
        inputs = silence(carry, keeps, self.reads)
        hidden = jax.nn.relu(self.first.convolved(inputs, training))
        return jax.nn.relu(self._whole(inputs, silence(hidden, keeps, self.name), training))

    def _whole(self, inputs: jax.Array, hidden: jax.Array, training: bool) -> jax.Array:
        """The second convolution's results plus the shortcut, in front of the ReLU."""
        outputs = self.second.convolved(hidden, training)
        passed = inputs if self.shortcut is None else self.shortcut.convolved(inputs, training)
        return passed + outputs

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> dict[str, dict[str, jax.Array]]:
        """See :class:`models.contract.Stage`."""
        prepared = {}
        for part, (layer, _, _) in self._layers().items():
            prepared[part] = layer.folded(_within(arrays, part), precision)
        if isinstance(self.shortcut, CopiedChannels):
            prepared["shortcut"] = {"selection": arrays["shortcut.selection"].astype(precision)}
        return prepared

    def evaluate(self, prepared: Mapping[str, Any], carry: jax.Array, keeps: Keeps) -> jax.Array:
        """See :class:`models.contract.Stage`."""
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


def _within(arrays: Mapping[str, jax.Array], part: str) -> dict[str, jax.Array]:
    """The arrays of a part of the stage, by their paths within it."""
    prefix = f"{part}."
    return {path.removeprefix(prefix): arrays[path] for path in arrays if path.startswith(prefix)}
