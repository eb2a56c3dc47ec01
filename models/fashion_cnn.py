"""The CNN for Fashion-MNIST of seed 001, as its Keras listing has it.

2x2 'same' convolutions of 64 and 32 filters, each with ReLU, a 2x2 max pool and dropout 0.3, then a dense layer
of 256 neurons with dropout 0.5. On 28x28 grey images with 10 classes it has 412,778 parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from models.architecture import checked_rate, scaled, scaled_dropout
from models.chain import ChainBuilder
from models.plain_architecture import PlainArchitecture
from models.window import Window


@dataclass(frozen=True)
class FashionCNNArchitecture(PlainArchitecture):
    """Everything that fixes its shapes; see :class:`models.plain_architecture.PlainArchitecture`.

    ``map_dropout``, ``dropout``: rates behind each pool and behind each dense layer, while training.
    """

    family: ClassVar[str] = "fashion_cnn"
    depth: ClassVar[int] = 2
    smallest: ClassVar[int] = 4

    map_dropout: float = 0.3
    dropout: float = 0.5

    def add_convolution(self, chain: ChainBuilder, name: str, filters: int) -> None:
        """2x2, ReLU, max pool, dropout."""
        chain.convolution(name, filters, window=Window((2, 2)), pool="max", dropout=self.map_dropout)

    def add_dense(self, chain: ChainBuilder, name: str, units: int) -> None:
        """With dropout."""
        chain.dense(name, units, dropout=self.dropout)

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal architecture."""
        return {**super().to_json(), "map_dropout": self.map_dropout, "dropout": self.dropout}

    @classmethod
    def further_fields(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        """See :class:`models.plain_architecture.PlainArchitecture`."""
        return {key: checked_rate(entry, key) for key in ("map_dropout", "dropout")}


def fashion_cnn(
    name: str,
    *,
    width_multiplier: float = 1.0,
    classes: int = 10,
    input_shape: tuple[int, int, int] = (28, 28, 1),
) -> FashionCNNArchitecture:
    """The network of seed 001; widths are rounded, at least 1."""
    return FashionCNNArchitecture(
        name,
        scaled((64, 32), width_multiplier),
        scaled((256,), width_multiplier),
        classes,
        input_shape,
        map_dropout=scaled_dropout(0.3, width_multiplier),
        dropout=scaled_dropout(0.5, width_multiplier),
    )
