"""The networks that can be named on the command line, and the families that can be read back from disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from models.contract import Architecture
from models.errors import ArchitectureError
from models.networks.convnet import ConvNetArchitecture, convnet
from models.networks.fashion_cnn import FashionCNNArchitecture, fashion_cnn
from models.networks.lenet import LeNetArchitecture, lenet5
from models.networks.mlp import MLPArchitecture, mlp
from models.networks.resnet import ResNetArchitecture, resnet
from models.networks.vgg import VGGArchitecture, vgg
from models.onnx.architecture import ONNXArchitecture
from models.tracing.architecture import ModuleArchitecture

FAMILIES: Mapping[str, type[Architecture]] = {
    architecture.family: architecture
    for architecture in (
        VGGArchitecture,
        ResNetArchitecture,
        LeNetArchitecture,
        ConvNetArchitecture,
        MLPArchitecture,
        FashionCNNArchitecture,
        ModuleArchitecture,
        ONNXArchitecture,
    )
}


@dataclass(frozen=True)
class NamedNetwork:
    """A network that can be named on the command line.

    Attributes:
        name: on the command line.
        make: the factory; takes name, width_multiplier, classes and input_shape, and batch_norm if it is a
            choice.
        input_shape: height, width and channels of the images that the network is made for.
        any_size: whether the network takes images of any size; otherwise images are resized to ``input_shape``,
            unless the user asks for another size.
        batch_norm: whether the network has batch norm; None if batch norm is a choice.
    """

    name: str
    make: Callable[..., Architecture]
    input_shape: tuple[int, int, int] = (32, 32, 3)
    any_size: bool = False
    batch_norm: bool | None = False

    def __call__(
        self,
        *,
        width_multiplier: float = 1.0,
        classes: int = 10,
        input_shape: tuple[int, int, int] | None = None,
        batch_norm: bool | None = None,
    ) -> Architecture:
        """The architecture for images of ``input_shape`` (None: the shape that the network is made for).

        Raises:
            ArchitectureError: ``batch_norm`` is given and not a choice of this network, or the images are too
                small.
        """
        options = {} if batch_norm is None or self.batch_norm is not None else {"batch_norm": batch_norm}
        if not options and batch_norm is not None and batch_norm != self.batch_norm:
            has = "has no" if batch_norm else "always has"
            raise ArchitectureError(f"{self.name} {has} batch norm; leave out `batch_norm`.")
        shape = self.input_shape if input_shape is None else input_shape
        return self.make(
            self.name, width_multiplier=width_multiplier, classes=classes, input_shape=shape, **options
        )

    @property
    def grey(self) -> bool:
        """Whether the network is made for grey images."""
        return self.input_shape[2] == 1


def _vgg(name: str, *depths: int) -> NamedNetwork:
    return NamedNetwork(name, partial(vgg, depths=depths), any_size=True, batch_norm=None)


NETWORKS: Mapping[str, NamedNetwork] = {
    network.name: network
    for network in (
        _vgg("vgg11", 1, 1, 2, 2, 2),
        _vgg("vgg16", 2, 2, 3, 3, 3),
        _vgg("vgg19", 2, 2, 4, 4, 4),
        NamedNetwork("resnet20", partial(resnet, units=3), any_size=True, batch_norm=True),
        NamedNetwork("lenet5", lenet5, (32, 32, 1)),
        NamedNetwork("lenet5-sigmoid", partial(lenet5, sigmoid=True), (32, 32, 1)),
        NamedNetwork("convnet", convnet),
        NamedNetwork("mlp", mlp, (28, 28, 1)),
        NamedNetwork("fashion_cnn", fashion_cnn, (28, 28, 1)),
    )
}
"""By name."""


def architecture_from_json(entry: Any) -> Architecture:
    """The architecture that a ``model.json`` describes.

    Raises:
        ArchitectureError: the family is unknown or a field does not fit it.
    """
    family = entry.get("family") if isinstance(entry, dict) else None
    if not isinstance(family, str) or family not in FAMILIES:
        raise ArchitectureError(
            f"architecture family {family!r} is not known; this version reads {', '.join(FAMILIES)}."
        )
    return FAMILIES[family].from_json(entry)
