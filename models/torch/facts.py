"""What a ``state_dict`` does not tell of its network: told by the user, or assumed and said."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Literal, TypeVar

from models.errors import StoreError
from models.networks.vgg import LastPool

ShortcutZeros = Literal["around", "behind"]
T = TypeVar("T")
THROUGH_ONNX = (
    "through ONNX: torch.onnx.export(network.eval(), (images,), 'network.onnx'), "
    "then evoprune import network.onnx"
)
"""The way for networks that no ``state_dict`` describes well enough."""
EPSILON = 1e-5
"""PyTorch's default for batch norms."""


@dataclass(frozen=True)
class Facts:
    """What the user tells; None where nothing is told.

    Attributes:
        input_size: height and width of the images.
        epsilon: of the batch norms.
        pools_after: numbers of the convolutions of a VGG, from 1, behind which a 2x2 pool is.
        last_pool: the pool behind the last convolution of a VGG.
        global_average: whether a VGG's classifier reads the mean over all places.
        stem_stride: of a ResNet's first convolution.
        stem_pool: whether a 3x3 max pool of stride 2 is behind a ResNet's first convolution.
        shortcut_zeros: where the shortcuts without weights of a ResNet have their channels of zeros.
    """

    input_size: int | None = None
    epsilon: float | None = None
    pools_after: tuple[int, ...] | None = None
    last_pool: LastPool | None = None
    global_average: bool | None = None
    stem_stride: int | None = None
    stem_pool: bool | None = None
    shortcut_zeros: ShortcutZeros | None = None

    def check_known(self, known: Collection[str], network: str) -> None:
        """Refuse facts that say nothing about the network.

        Args:
            known: names of the facts that do.
            network: what the network is, for people.

        Raises:
            StoreError: naming the first other fact that is told.
        """
        for field in fields(self):
            if field.name not in known and getattr(self, field.name) is not None:
                raise StoreError(f"`{field.name}` says nothing about {network}; leave out `{field.name}`.")


def settled(told: T | None, usual: T, assumed: list[str], sentence: str) -> T:
    """What was told, or else the usual value; ``sentence`` then joins ``assumed``."""
    if told is not None:
        return told
    assumed.append(sentence)
    return usual
