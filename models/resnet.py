"""Residual networks for small images (He et al. 2016, arXiv:1512.03385), as seed 000 uses ResNet-20.

Convolutions have biases beside their batch norms, and a unit that halves the map has a 1x1 projection with batch
norm as its shortcut. With 16, 32 and 64 channels and 3 units a stage, on 32x32 colour images with 10 classes,
that is 273,258 parameters.

The channels that units of a stage add to are tied: one filter group, ``stage1``, ``stage2``, ... A channel of it
is removed from every unit's output at once, and from the convolutions that read it. Between its two convolutions
a unit has channels of its own, ``unit1_1``, ``unit1_2``, ...
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from flax import nnx

from models.architecture import checked_int, checked_ints, checked_shape, scaled
from models.chain import Chain
from models.convolution_stage import ConvolutionStage
from models.dense_stage import DenseStage
from models.errors import ArchitectureError
from models.residual_stage import ResidualStage
from models.stages import FilterGroup, Stage
from models.window import Window


@dataclass(frozen=True)
class ResNetArchitecture:
    """Everything that fixes a ResNet's shapes.

    ``tied``: channels that the units of each stage add to. ``inner``: channels within each unit, by stage; every
    stage but the first begins with stride 2. ``input_shape``: (height, width, channels).

    Raises:
        ArchitectureError: a width below 1, a stage without units.
    """

    family: ClassVar[str] = "resnet"

    name: str
    tied: tuple[int, ...]
    inner: tuple[tuple[int, ...], ...]
    classes: int = 10
    input_shape: tuple[int, int, int] = (32, 32, 3)

    def __post_init__(self) -> None:
        if not self.tied or len(self.tied) != len(self.inner) or not all(self.inner):
            raise ArchitectureError(
                f"{self.name} needs a list of one unit or more in 'inner' for each of 'tied'; got {self}."
            )
        inner = [width for stage in self.inner for width in stage]
        if min([*self.tied, *inner, self.classes, *self.input_shape]) < 1:
            raise ArchitectureError(f"every width of {self.name} must be at least 1; got {self}.")

    def with_widths(self, widths: Mapping[str, int]) -> "ResNetArchitecture":
        """The same network with other numbers of filters for the groups named."""
        tied = tuple(widths.get(f"stage{s}", width) for s, width in enumerate(self.tied, 1))
        inner = tuple(
            tuple(widths.get(f"unit{s}_{u}", width) for u, width in enumerate(stage, 1))
            for s, stage in enumerate(self.inner, 1)
        )
        return replace(self, tied=tied, inner=inner)

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal architecture."""
        return {
            "family": self.family,
            "name": self.name,
            "tied": list(self.tied),
            "inner": [list(stage) for stage in self.inner],
            "classes": self.classes,
            "input_shape": list(self.input_shape),
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "ResNetArchitecture":
        """Inverse of :meth:`to_json`.

        Raises:
            ArchitectureError: a field is missing, of the wrong type or out of its range.
        """
        inner = entry.get("inner")
        if not isinstance(inner, list):
            raise ArchitectureError(f"'inner' of an architecture must hold lists of widths, not {inner!r}.")
        return cls(
            name=str(entry.get("name", cls.family)),
            tied=checked_ints(entry, "tied"),
            inner=tuple(checked_ints({"inner": stage}, "inner") for stage in inner),
            classes=checked_int(entry, "classes"),
            input_shape=checked_shape(entry),
        )

    def build(self, seed: int = 0) -> Chain:
        """A freshly initialised network."""
        rngs = nnx.Rngs(seed)
        height, width, channels = self.input_shape
        size, reads, inputs = (height, width), "stage1", self.tied[0]
        stages: list[Stage] = [_stem(channels, inputs, size, rngs)]
        groups = [FilterGroup(reads, inputs, "convolution")]
        for s, (filters, units) in enumerate(zip(self.tied, self.inner, strict=True), 1):
            writes = f"stage{s}"
            for u, inner in enumerate(units, 1):
                stride = 1 if reads == writes else 2
                unit = ResidualStage(
                    f"unit{s}_{u}", reads, writes, inputs, inner, filters, size=size, stride=stride, rngs=rngs
                )
                stages.append(unit)
                groups.append(FilterGroup(unit.name, inner, "convolution"))
                if reads != writes:
                    groups.append(FilterGroup(writes, filters, "convolution"))
                size, reads, inputs = unit.first.window.outputs(size), writes, filters
        stages.append(DenseStage("logits", reads, inputs, self.classes, averaged=True, head=True, rngs=rngs))
        return Chain(self, stages, groups)

    def blank(self) -> Chain:
        """A network whose arrays are shapes only, to count or to fill; costs no time or memory."""
        return nnx.eval_shape(self.build)


def _stem(channels: int, filters: int, size: tuple[int, int], rngs: nnx.Rngs) -> ConvolutionStage:
    """From the image to the first stage's channels."""
    return ConvolutionStage(
        "stage1",
        None,
        channels,
        filters,
        size=size,
        window=Window((3, 3)),
        batch_norm=True,
        activation="relu",
        pool=None,
        dropout=0.0,
        rngs=rngs,
    )


def resnet(
    name: str,
    units: int,
    *,
    width_multiplier: float = 1.0,
    classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 3),
) -> ResNetArchitecture:
    """A network of three stages with ``units`` units each, ``6 * units + 2`` layers; widths are rounded."""
    tied = scaled((16, 32, 64), width_multiplier)
    return ResNetArchitecture(name, tied, tuple((width,) * units for width in tied), classes, input_shape)
