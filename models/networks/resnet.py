"""Residual networks for small images (He et al. 2016, arXiv:1512.03385), with ResNet-20 as in Almarashi 2024.

Convolutions have biases beside their batch norms. A unit that halves the map has a 1x1 projection with batch norm
as its shortcut (option B), or copies its channels beside channels of zeros (option A). With 16, 32 and 64
channels, 3 units a stage and projections, on 32x32 colour images with 10 classes, that is 273,258 parameters.

The channels that units of a stage add to are tied: one filter group, ``stage1``, ``stage2``, ... A tied channel
is removed from every unit's output at once, and from the convolutions that read it. The channels between the two
convolutions of a unit are a group of their own, ``unit1_1``, ``unit1_2``, ...
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from flax import nnx

from models.contract import FilterGroup, Stage
from models.errors import ArchitectureError
from models.fields import JSONArchitecture, check_epsilon, scaled
from models.lowering.convolution import pooled_size
from models.networks.chain import Chain, blank_of
from models.stages.convolution import ConvolutionStage
from models.stages.dense import DenseStage
from models.stages.residual import ResidualStage
from models.windows import Window

Shortcuts = Literal["projection", "around", "behind"]
"""Of the units that halve the map: projections, or copies with the zeros on both sides of them or behind."""


@dataclass(frozen=True)
class ResNetArchitecture(JSONArchitecture):
    """Everything that fixes a ResNet's shapes.

    ``tied``: channels that the units of each stage add to. ``inner``: channels within each unit, by stage; every
    stage but the first begins with stride 2. ``input_shape``: (height, width, channels). ``stem_kernel`` and
    ``stem_stride``: of the first convolution. ``stem_pool``: whether a 3x3 max pool of stride 2 follows it, as
    in ResNets for ImageNet. ``epsilon``: of the batch norms.

    Raises:
        ArchitectureError: a width below 1, a stage without units, an even kernel.
    """

    family: ClassVar[str] = "resnet"

    name: str
    tied: tuple[int, ...]
    inner: tuple[tuple[int, ...], ...]
    classes: int = 10
    input_shape: tuple[int, int, int] = (32, 32, 3)
    stem_kernel: int = 3
    stem_stride: int = 1
    stem_pool: bool = False
    shortcuts: Shortcuts = "projection"
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if not self.tied or len(self.tied) != len(self.inner) or not all(self.inner):
            raise ArchitectureError(
                f"{self.name} needs a list of one unit or more in 'inner' for each of 'tied'; got {self}."
            )
        inner = [width for stage in self.inner for width in stage]
        if min([*self.tied, *inner, self.classes, *self.input_shape]) < 1:
            raise ArchitectureError(f"every width of {self.name} must be at least 1; got {self}.")
        if self.stem_kernel < 1 or self.stem_kernel % 2 == 0 or self.stem_stride < 1:
            raise ArchitectureError(
                f"'stem_kernel' of {self.name} must be odd and 'stem_stride' at least 1, not "
                f"{self.stem_kernel} and {self.stem_stride}."
            )
        check_epsilon(self.epsilon)

    def with_widths(self, widths: Mapping[str, int]) -> "ResNetArchitecture":
        """The same network with other numbers of filters for the groups named."""
        tied = tuple(widths.get(f"stage{s}", width) for s, width in enumerate(self.tied, 1))
        inner = tuple(
            tuple(widths.get(f"unit{s}_{u}", width) for u, width in enumerate(stage, 1))
            for s, stage in enumerate(self.inner, 1)
        )
        return replace(self, tied=tied, inner=inner)

    def build(self, seed: int = 0) -> Chain:
        """A freshly initialised network."""
        rngs = nnx.Rngs(seed)
        size, reads, inputs = self.input_shape[:2], "stage1", self.tied[0]
        stem = self._stem(rngs)
        size = pooled_size(stem.window.outputs(size), stem.pool)
        stages: list[Stage] = [stem]
        groups = [FilterGroup(reads, inputs, "convolution")]
        for s, (filters, units) in enumerate(zip(self.tied, self.inner, strict=True), 1):
            writes = f"stage{s}"
            for u, inner in enumerate(units, 1):
                stride = 1 if reads == writes else 2
                unit = ResidualStage(
                    f"unit{s}_{u}",
                    reads,
                    writes,
                    inputs,
                    inner,
                    filters,
                    size=size,
                    stride=stride,
                    zeros=self.zeros(inputs, filters),
                    epsilon=self.epsilon,
                    rngs=rngs,
                )
                stages.append(unit)
                groups.append(FilterGroup(unit.name, inner, "convolution"))
                if reads != writes:
                    groups.append(FilterGroup(writes, filters, "convolution"))
                size, reads, inputs = unit.first.window.outputs(size), writes, filters
        stages.append(DenseStage("logits", reads, inputs, self.classes, averaged=True, head=True, rngs=rngs))
        return Chain(self, stages, groups)

    def zeros(self, inputs: int, filters: int) -> int | None:
        """Channels of zeros in front of the copies of ``inputs`` channels; None for projections."""
        if self.shortcuts == "projection":
            return None
        return max(0, filters - inputs) // 2 if self.shortcuts == "around" else 0

    def _stem(self, rngs: nnx.Rngs) -> ConvolutionStage:
        """From the image to the first stage's channels."""
        height, width, channels = self.input_shape
        return ConvolutionStage(
            "stage1",
            None,
            channels,
            self.tied[0],
            size=(height, width),
            window=Window((self.stem_kernel, self.stem_kernel), self.stem_stride),
            batch_norm=True,
            activation="relu",
            pool="overlapping" if self.stem_pool else None,
            epsilon=self.epsilon,
            rngs=rngs,
        )

    def blank(self) -> Chain:
        """A network whose arrays are shapes only, to count or to fill; costs no time or memory."""
        return blank_of(self)


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
