"""Which network to train."""

from dataclasses import dataclass
from typing import Any

from engine.errors import OptionError
from engine.options import option
from experiments.data.datasets import ImageSet
from models.networks.registry import NETWORKS
from models.tracing.architecture import ModuleArchitecture


@dataclass(frozen=True)
class NetworkOptions:
    """Which network to train.

    ``model_class`` names a factory that :func:`models.tracing.factories.load` has loaded; it replaces the other
    options.

    Raises:
        OptionError: an unknown network, or a multiplier out of its range.
        ArchitectureError: ``batch_norm`` is given for a network that leaves no choice.
    """

    model: str = option("vgg16", "Network, one of 'evoprune models'.", metavar="NAME")
    width_multiplier: float = option(1.0, "Scales every width.")
    batch_norm: bool | None = option(None, "Batch norm, or none, for VGGs. VGGs have none if not given.")
    model_class: str | None = None

    def __post_init__(self) -> None:
        if self.model not in NETWORKS:
            raise OptionError(f"`model` must be one of {', '.join(NETWORKS)}, not {self.model!r}.")
        if not 0 < self.width_multiplier <= 16:
            raise OptionError(f"`width_multiplier` must be above 0 and at most 16, not {self.width_multiplier}.")
        # Raises the errors of these options before any data is read.
        NETWORKS[self.model](batch_norm=self.batch_norm)

    @property
    def grey(self) -> bool:
        """Whether the network is made for grey images."""
        return self.model_class is None and NETWORKS[self.model].grey

    @property
    def image_size(self) -> int | None:
        """Height and width that the network is made for; None if it takes images of any size."""
        named = NETWORKS[self.model]
        return None if self.model_class is not None or named.any_size else named.input_shape[0]

    def architecture(self, images: ImageSet) -> Any:
        """The network's architecture for these images and their classes."""
        height, width, channels = images.images.shape[1:]
        shape, classes = (height, width, channels), len(images.classes)
        if self.model_class is not None:
            return ModuleArchitecture(self.model_class, shape, classes)
        return NETWORKS[self.model](
            width_multiplier=self.width_multiplier, batch_norm=self.batch_norm, classes=classes, input_shape=shape
        )
