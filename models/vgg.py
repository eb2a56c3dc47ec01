"""VGG networks for small images (Simonyan & Zisserman 2015, arXiv:1409.1556), as seed 003 uses them.

Widths are free for each layer, so that a pruned network is the same class with other numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from flax import nnx

from models.architecture import checked_int, checked_ints, checked_shape, scaled, scaled_dropout
from models.chain import Chain, ChainBuilder
from models.convolution import PoolName
from models.errors import ArchitectureError
from models.window import Window


@dataclass(frozen=True)
class VGGArchitecture:
    """Everything that fixes a VGG's shapes.

    ``blocks``: filters of each convolution, by block; a 2x2 max pool closes each block.
    ``hidden``: neurons of each dense layer before the logits. ``input_shape``: (height, width, channels).
    ``dropout``: rate behind each hidden dense layer while training.

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

    def __post_init__(self) -> None:
        widths = [width for block in self.blocks for width in block]
        if not widths or min([*widths, *self.hidden, self.classes, *self.input_shape]) < 1:
            raise ArchitectureError(f"every width of {self.name} must be at least 1; got {self}.")
        if not all(self.blocks):
            raise ArchitectureError(f"every block of {self.name} needs a convolution; got {self.blocks}.")
        if min(self.final_size) < 1:
            smallest = 2 ** len(self.blocks)
            raise ArchitectureError(
                f"{self.name} halves its input {len(self.blocks)} times and needs images of {smallest}x"
                f"{smallest} pixels or more, not {self.input_shape[0]}x{self.input_shape[1]}; "
                f"give --image-size {smallest} or larger."
            )
        if not 0 <= self.dropout < 1:
            raise ArchitectureError(f"dropout must be at least 0 and below 1, not {self.dropout}.")

    @property
    def final_size(self) -> tuple[int, int]:
        """Height and width behind the last pool."""
        shrink = 2 ** len(self.blocks)
        return self.input_shape[0] // shrink, self.input_shape[1] // shrink

    def with_widths(self, widths: Mapping[str, int]) -> "VGGArchitecture":
        """The same network with other numbers of filters for the groups named."""
        blocks = tuple(
            tuple(widths.get(f"conv{b}_{c}", width) for c, width in enumerate(block, 1))
            for b, block in enumerate(self.blocks, 1)
        )
        hidden = tuple(widths.get(f"fc{i}", width) for i, width in enumerate(self.hidden, 1))
        return replace(self, blocks=blocks, hidden=hidden)

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal architecture."""
        return {
            "family": self.family,
            "name": self.name,
            "blocks": [list(block) for block in self.blocks],
            "hidden": list(self.hidden),
            "classes": self.classes,
            "input_shape": list(self.input_shape),
            "batch_norm": self.batch_norm,
            "dropout": self.dropout,
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "VGGArchitecture":
        """Inverse of :meth:`to_json`.

        Raises:
            ArchitectureError: a field is missing or of the wrong type.
        """
        blocks = entry.get("blocks")
        if not isinstance(blocks, list):
            raise ArchitectureError(f"'blocks' of an architecture must hold lists of widths, not {blocks!r}.")
        return cls(
            name=str(entry.get("name", "vgg")),
            blocks=tuple(checked_ints({"blocks": block}, "blocks") for block in blocks),
            hidden=checked_ints(entry, "hidden"),
            classes=checked_int(entry, "classes"),
            input_shape=checked_shape(entry),
            batch_norm=entry.get("batch_norm") is True,
            dropout=float(entry.get("dropout", 0.0)),
        )

    def build(self, seed: int = 0) -> Chain:
        """A freshly initialised network."""
        chain = ChainBuilder(self.input_shape, nnx.Rngs(seed))
        for b, block in enumerate(self.blocks, 1):
            for c, filters in enumerate(block, 1):
                pool: PoolName | None = "max" if c == len(block) else None
                chain.convolution(
                    f"conv{b}_{c}", filters, window=Window((3, 3)), batch_norm=self.batch_norm, pool=pool
                )
        for i, units in enumerate(self.hidden, 1):
            chain.dense(f"fc{i}", units, dropout=self.dropout)
        chain.logits(self.classes)
        return Chain(self, chain.stages, chain.groups)

    def blank(self) -> Chain:
        """A network whose arrays are shapes only, to count or to fill; costs no time or memory."""
        return nnx.eval_shape(self.build)


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
