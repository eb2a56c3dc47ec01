"""What the small networks have in common: convolutions with pools, then dense layers, each width free."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from flax import nnx

from models.architecture import checked_int, checked_ints, checked_shape
from models.chain import Chain, ChainBuilder
from models.errors import ArchitectureError


@dataclass(frozen=True)
class PlainArchitecture:
    """Widths of such a network; a family says in :meth:`add_convolution` and :meth:`add_dense` what they are of.

    ``convolutions``: filters of each, groups ``conv1``, ``conv2``, ... ``hidden``: neurons of each dense layer
    before the logits, groups ``fc1``, ``fc2``, ... ``input_shape``: (height, width, channels).

    Raises:
        ArchitectureError: a width below 1, another number of convolutions than the family has, or an image
            that is too small for them.
    """

    family: ClassVar[str]
    depth: ClassVar[int]
    """How many convolutions."""
    smallest: ClassVar[int] = 1
    """Height and width of the smallest images that leave something behind the last pool."""

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
                f"{self.input_shape[0]}x{self.input_shape[1]}; give --image-size {self.smallest} or larger."
            )

    def add_convolution(self, chain: ChainBuilder, name: str, filters: int) -> None:
        """Add a convolution to the chain, with its activation and pool."""
        raise NotImplementedError

    def add_dense(self, chain: ChainBuilder, name: str, units: int) -> None:
        """Add a hidden dense layer to the chain, with its activation."""
        chain.dense(name, units)

    def with_widths(self, widths: Mapping[str, int]) -> Self:
        """The same network with other numbers of filters for the groups named."""
        convolutions = tuple(widths.get(f"conv{i}", width) for i, width in enumerate(self.convolutions, 1))
        hidden = tuple(widths.get(f"fc{i}", width) for i, width in enumerate(self.hidden, 1))
        return replace(self, convolutions=convolutions, hidden=hidden)

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal architecture."""
        return {
            "family": self.family,
            "name": self.name,
            "convolutions": list(self.convolutions),
            "hidden": list(self.hidden),
            "classes": self.classes,
            "input_shape": list(self.input_shape),
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_json`.

        Raises:
            ArchitectureError: a field is missing, of the wrong type or out of its range.
        """
        return cls(
            name=str(entry.get("name", cls.family)),
            convolutions=checked_ints(entry, "convolutions"),
            hidden=checked_ints(entry, "hidden"),
            classes=checked_int(entry, "classes"),
            input_shape=checked_shape(entry),
            **cls.further_fields(entry),
        )

    @classmethod
    def further_fields(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that the family has beyond these, read from JSON and checked."""
        return {}

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
        return nnx.eval_shape(self.build)
