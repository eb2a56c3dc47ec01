"""The dense network of Muppalla and Kumar: 784-1000-1000-500-200-10 with ReLU; every hidden neuron is prunable.

On 28x28 grey images with 10 classes it has 2,388,710 parameters.
"""

from dataclasses import dataclass
from typing import ClassVar

from models.fields import scaled
from models.networks.plain import PlainArchitecture


@dataclass(frozen=True)
class MLPArchitecture(PlainArchitecture):
    """Everything that fixes its shapes; see :class:`models.networks.plain.PlainArchitecture`."""

    family: ClassVar[str] = "mlp"
    depth: ClassVar[int] = 0


def mlp(
    name: str,
    *,
    width_multiplier: float = 1.0,
    classes: int = 10,
    input_shape: tuple[int, int, int] = (28, 28, 1),
) -> MLPArchitecture:
    """The network of Muppalla and Kumar; widths are rounded, at least 1."""
    return MLPArchitecture(name, (), scaled((1000, 1000, 500, 200), width_multiplier), classes, input_shape)
