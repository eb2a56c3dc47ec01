"""The network of two convolutions and three dense layers of Khanal 2018, also in PyTorch's CIFAR-10 tutorial.

5x5 convolutions of 10 and 16 filters without padding, each with ReLU and a 2x2 max pool, then dense layers of 120
and 84 neurons. Khanal leaves out dropout on purpose. On 32x32 colour images with 10 classes it
has 63,910 parameters.
"""

from dataclasses import dataclass
from typing import ClassVar

from models.fields import scaled
from models.networks.chain import ChainBuilder
from models.networks.plain import PlainArchitecture
from models.windows import Window


@dataclass(frozen=True)
class ConvNetArchitecture(PlainArchitecture):
    """Everything that fixes its shapes; see :class:`models.networks.plain.PlainArchitecture`."""

    family: ClassVar[str] = "convnet"
    depth: ClassVar[int] = 2
    smallest: ClassVar[int] = 16

    def add_convolution(self, chain: ChainBuilder, name: str, filters: int) -> None:
        """5x5, ReLU, max pool."""
        chain.convolution(name, filters, window=Window((5, 5), padded=False), pool="max")


def convnet(
    name: str,
    *,
    width_multiplier: float = 1.0,
    classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 3),
) -> ConvNetArchitecture:
    """The network of Khanal 2018; widths are rounded, at least 1."""
    convolutions, hidden = scaled((10, 16), width_multiplier), scaled((120, 84), width_multiplier)
    return ConvNetArchitecture(name, convolutions, hidden, classes, input_shape)
