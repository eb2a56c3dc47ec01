"""The common part of the small networks: convolutions with pools, then dense layers, each of any width."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from flax import nnx

from models.errors import ArchitectureError
from models.fields import JSONArchitecture
from models.networks.chain import Chain, ChainBuilder, blank_of


@dataclass(frozen=True)
class PlainArchitecture(JSONArchitecture):
    """Widths of a network; a family defines its layers in :meth:`add_convolution` and :meth:`add_dense`.

    ``convolutions``: filters of each, groups ``conv1``, ``conv2``, ... ``hidden``: neurons of each dense layer
    before the logits, groups ``fc1``, ``fc2``, ... ``input_shape``: (height, width, channels).

    Raises:
        ArchitectureError: a width below 1, another number of convolutions than the family has, or an image
            that is too small for them.
    """

    family: ClassVar[str]
    depth: ClassVar[int]
    """Number of convolutions."""
    smallest: ClassVar[int] = 1
    """Height and width of the smallest images that leave a position behind the last pool."""

    name: str
    convolutions: tuple[int, ...]
    hidden: tuple[int, ...]
    classes: int
    input_shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        if min([*self.convolutions, *self.hidden, self.classes, *self.input_shape]) < 1:
            raise ArchitectureError(f"every width of {self.name} must be at least 1; got {self}.")
        if len(self.convolutions) != self.depth:
            raise ArchitectureError(
                f"'convolutions' of the family {self.family} must hold {self.depth} widths, not "
                f"{list(self.convolutions)}."
            )
        if min(self.input_shape[:2]) < self.smallest:
            raise ArchitectureError(
                f"{self.name} needs images of {self.smallest}x{self.smallest} pixels or more, not "
                f"{self.input_shape[0]}x{self.input_shape[1]}; give `image_size` {self.smallest} or larger."
            )

    def add_convolution(self, chain: ChainBuilder, name: str, filters: int) -> None:
        """Add a convolution with its activation and pool; a family without convolutions never gets here."""
        raise ArchitectureError(f"the family {self.family} has no convolutions.")

    def add_dense(self, chain: ChainBuilder, name: str, units: int) -> None:
        """Add a hidden dense layer to the chain, with its activation."""
        chain.dense(name, units)

    def with_widths(self, widths: Mapping[str, int]) -> Self:
        """The same network with other numbers of filters for the groups named."""
        convolutions = tuple(widths.get(f"conv{i}", width) for i, width in enumerate(self.convolutions, 1))
        hidden = tuple(widths.get(f"fc{i}", width) for i, width in enumerate(self.hidden, 1))
        return replace(self, convolutions=convolutions, hidden=hidden)

    def build(self, seed: int = 0) -> Chain:
        """A freshly initialised network."""
        chain = ChainBuilder(self.input_shape, nnx.Rngs(seed))
        for i, filters in enumerate(self.convolutions, 1):
            self.add_convolution(chain, f"conv{i}", filters)
        for i, units in enumerate(self.hidden, 1):
            self.add_dense(chain, f"fc{i}", units)
        chain.logits(self.classes)
        return Chain(self, chain.stages, chain.groups)

    def blank(self) -> Chain:
        """A network whose arrays are shapes only, to count or to fill; costs no time or memory."""
        return blank_of(self)
