"""The CNN for Fashion-MNIST of Muppalla and Kumar, as in their Keras listing.

2x2 'same' convolutions of 64 and 32 filters, each with ReLU, a 2x2 max pool and dropout 0.3, then a dense layer
of 256 neurons with dropout 0.5. On 28x28 grey images with 10 classes it has 412,778 parameters.
"""

from dataclasses import dataclass
from typing import ClassVar

from models.fields import check_dropout, scaled, scaled_dropout
from models.networks.chain import ChainBuilder
from models.networks.plain import PlainArchitecture
from models.windows import Window


@dataclass(frozen=True)
class FashionCNNArchitecture(PlainArchitecture):
    """Everything that fixes its shapes; see :class:`models.networks.plain.PlainArchitecture`.

    ``map_dropout``, ``dropout``: rates behind each pool and behind each dense layer in training.
    """

    family: ClassVar[str] = "fashion_cnn"
    depth: ClassVar[int] = 2
    smallest: ClassVar[int] = 4

    map_dropout: float = 0.3
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dropout(self.map_dropout, "map_dropout")
        check_dropout(self.dropout, "dropout")

    def add_convolution(self, chain: ChainBuilder, name: str, filters: int) -> None:
        """2x2, ReLU, max pool, dropout."""
        chain.convolution(name, filters, window=Window((2, 2)), pool="max", dropout=self.map_dropout)

    def add_dense(self, chain: ChainBuilder, name: str, units: int) -> None:
        """With dropout."""
        chain.dense(name, units, dropout=self.dropout)


def fashion_cnn(
    name: str,
    *,
    width_multiplier: float = 1.0,
    classes: int = 10,
    input_shape: tuple[int, int, int] = (28, 28, 1),
) -> FashionCNNArchitecture:
    """The network of Muppalla and Kumar; widths are rounded, at least 1."""
    return FashionCNNArchitecture(
        name,
        scaled((64, 32), width_multiplier),
        scaled((256,), width_multiplier),
        classes,
        input_shape,
        map_dropout=scaled_dropout(0.3, width_multiplier),
        dropout=scaled_dropout(0.5, width_multiplier),
    )
