"""The networks that can be named on the command line, and the families that can be read back from disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from models.convnet import ConvNetArchitecture, convnet
from models.dependency.architecture import ModuleArchitecture
from models.errors import ArchitectureError
from models.fashion_cnn import FashionCNNArchitecture, fashion_cnn
from models.lenet import LeNetArchitecture, lenet5
from models.mlp import MLPArchitecture, mlp
from models.resnet import ResNetArchitecture, resnet
from models.stages import Architecture
from models.vgg import VGGArchitecture, vgg

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
    )
}


@dataclass(frozen=True)
class NamedNetwork:
    """A network of the command line.

    Attributes:
        name: what it is called there.
        make: its factory; takes name, width_multiplier, classes and input_shape, and batch_norm if that is a
            choice.
        input_shape: height, width and channels of the images that it is made for.
        any_size: whether it takes images as they come; otherwise they are brought to the size that it is made
            for, unless another is asked for.
        batch_norm: whether it has batch norm; None if that is a choice.
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
        """Its architecture, for images of ``input_shape`` (None: those it is made for).

        Raises:
            ArchitectureError: it is asked to have batch norm, or to have none, and that is no choice of its;
                or the images are too small.
        """
        options = {} if batch_norm is None or self.batch_norm is not None else {"batch_norm": batch_norm}
        if not options and batch_norm is not None and batch_norm != self.batch_norm:
            has, option = ("has no", "--batch-norm") if batch_norm else ("always has", "--no-batch-norm")
            raise ArchitectureError(f"{self.name} {has} batch norm; leave out {option}.")
        shape = self.input_shape if input_shape is None else input_shape
        return self.make(
            self.name, width_multiplier=width_multiplier, classes=classes, input_shape=shape, **options
        )

    @property
    def grey(self) -> bool:
        """Whether it is made for grey images."""
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
