"""VGG networks for small images (Simonyan & Zisserman 2015, arXiv:1409.1556), as the thesis uses them.

Every layer has a width of its own, so that a pruned network is the same class with other numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from flax import nnx

from models.errors import ArchitectureError
from models.fields import JSONArchitecture, check_dropout, check_epsilon, scaled, scaled_dropout
from models.lowering.convolution import PoolName
from models.networks.chain import Chain, ChainBuilder, blank_of
from models.windows import Window

LastPool = Literal["max", "average", "none"]


@dataclass(frozen=True)
class VGGArchitecture(JSONArchitecture):
    """Everything that fixes a VGG's shapes.

    ``blocks``: filters of each convolution, by block; a 2x2 max pool closes each block but the last.
    ``hidden``: neurons of each dense layer before the logits. ``input_shape``: (height, width, channels).
    ``dropout``: rate behind each hidden dense layer in training. ``epsilon``: of the batch norms.
    ``last_pool``: the 2x2 pool that closes the last block. ``averaged``: whether the first dense layer reads the
    mean over all places of the map, in place of the whole map.

    Raises:
        ArchitectureError: a width below 1, or an image too small for the pools.
    """

    family: ClassVar[str] = "vgg"

    name: str
    blocks: tuple[tuple[int, ...], ...]
    hidden: tuple[int, ...] = (512, 512)
    classes: int = 10
    input_shape: tuple[int, int, int] = (32, 32, 3)
    batch_norm: bool = False
    dropout: float = 0.3
    epsilon: float = 1e-5
    last_pool: LastPool = "max"
    averaged: bool = False

    def __post_init__(self) -> None:
        widths = [width for block in self.blocks for width in block]
        if not widths or min([*widths, *self.hidden, self.classes, *self.input_shape]) < 1:
            raise ArchitectureError(f"every width of {self.name} must be at least 1; got {self}.")
        if not all(self.blocks):
            raise ArchitectureError(f"every block of {self.name} needs a convolution; got {self.blocks}.")
        if min(self.final_size) < 1:
            smallest = 2**self.pools
            raise ArchitectureError(
                f"{self.name} halves its input {self.pools} times and needs images of {smallest}x"
                f"{smallest} pixels or more, not {self.input_shape[0]}x{self.input_shape[1]}; "
                f"give `image_size` {smallest} or larger."
            )
        check_dropout(self.dropout, "dropout")
        check_epsilon(self.epsilon)

    @property
    def pools(self) -> int:
        """Number of pools."""
        return len(self.blocks) - (self.last_pool == "none")

    @property
    def final_size(self) -> tuple[int, int]:
        """Height and width behind the last pool."""
        shrink = 2**self.pools
        return self.input_shape[0] // shrink, self.input_shape[1] // shrink

    def with_widths(self, widths: Mapping[str, int]) -> "VGGArchitecture":
        """The same network with other numbers of filters for the groups named."""
        blocks = tuple(
            tuple(widths.get(f"conv{b}_{c}", width) for c, width in enumerate(block, 1))
            for b, block in enumerate(self.blocks, 1)
        )
        hidden = tuple(widths.get(f"fc{i}", width) for i, width in enumerate(self.hidden, 1))
        return replace(self, blocks=blocks, hidden=hidden)

    def build(self, seed: int = 0) -> Chain:
        """A freshly initialised network."""
        chain = ChainBuilder(self.input_shape, nnx.Rngs(seed))
        last: PoolName | None = None if self.last_pool == "none" else self.last_pool
        for b, block in enumerate(self.blocks, 1):
            closing: PoolName | None = last if b == len(self.blocks) else "max"
            for c, filters in enumerate(block, 1):
                chain.convolution(
                    f"conv{b}_{c}",
                    filters,
                    window=Window((3, 3)),
                    batch_norm=self.batch_norm,
                    pool=closing if c == len(block) else None,
                    epsilon=self.epsilon,
                )
        if self.averaged:
            chain.average()
        for i, units in enumerate(self.hidden, 1):
            chain.dense(f"fc{i}", units, dropout=self.dropout)
        chain.logits(self.classes)
        return Chain(self, chain.stages, chain.groups)

    def blank(self) -> Chain:
        """A network whose arrays are shapes only, to count or to fill; costs no time or memory."""
        return blank_of(self)


def vgg(
    name: str,
    depths: tuple[int, ...],
    *,
    width_multiplier: float = 1.0,
    classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    batch_norm: bool = False,
) -> VGGArchitecture:
    """A standard VGG with ``depths`` convolutions in its five blocks; widths are rounded, at least 1."""
    widths = scaled((64, 128, 256, 512, 512), width_multiplier)
    blocks = tuple((width,) * depth for width, depth in zip(widths, depths, strict=True))
    hidden = scaled((512, 512), width_multiplier)
    dropout = scaled_dropout(0.3, width_multiplier)
    return VGGArchitecture(name, blocks, hidden, classes, input_shape, batch_norm, dropout)
