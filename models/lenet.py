"""LeNet-5 (LeCun et al. 1998, "Gradient-based learning applied to document recognition"), as seed 002 uses it.

5x5 convolutions of 6 and 16 filters without padding, each with tanh and a 2x2 average pool, then dense layers of
120 and 84 neurons. On 32x32 grey images with 10 classes it has 61,706 parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from models.architecture import scaled
from models.chain import Chain, ChainBuilder
from models.errors import ArchitectureError
from models.plain_architecture import PlainArchitecture
from models.sigmoid_stage import SigmoidStage
from models.window import Window


@dataclass(frozen=True)
class LeNetArchitecture(PlainArchitecture):
    """Everything that fixes a LeNet's shapes; see :class:`models.plain_architecture.PlainArchitecture`.

    ``sigmoid``: the document says that a sigmoid follows the last layer. Under the softmax of the cross-entropy
    that keeps every answer between ``e^-1`` and ``e^1`` of any other, and the loss from ever getting near 0
    (1.46 at best, for 10 classes). So the network gives plain logits unless the sigmoid is asked for.
    """

    family: ClassVar[str] = "lenet"
    depth: ClassVar[int] = 2
    smallest: ClassVar[int] = 16

    sigmoid: bool = False

    def add_convolution(self, chain: ChainBuilder, name: str, filters: int) -> None:
        """5x5, tanh, average pool."""
        chain.convolution(name, filters, window=Window((5, 5), padded=False), activation="tanh", pool="average")

    def add_dense(self, chain: ChainBuilder, name: str, units: int) -> None:
        """With tanh."""
        chain.dense(name, units, activation="tanh")

    def build(self, seed: int = 0) -> Chain:
        """A freshly initialised network."""
        network = super().build(seed)
        if self.sigmoid:
            network.stages.append(SigmoidStage("sigmoid"))
        return network

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal architecture."""
        return {**super().to_json(), "sigmoid": self.sigmoid}

    @classmethod
    def further_fields(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        """See :class:`models.plain_architecture.PlainArchitecture`."""
        sigmoid = entry.get("sigmoid", False)
        if not isinstance(sigmoid, bool):
            raise ArchitectureError(f"'sigmoid' of an architecture must be true or false, not {sigmoid!r}.")
        return {"sigmoid": sigmoid}


def lenet5(
    name: str,
    *,
    sigmoid: bool = False,
    width_multiplier: float = 1.0,
    classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 1),
) -> LeNetArchitecture:
    """The network of the paper and of seed 002; widths are rounded, at least 1."""
    return LeNetArchitecture(
        name,
        scaled((6, 16), width_multiplier),
        scaled((120, 84), width_multiplier),
        classes,
        input_shape,
        sigmoid,
    )
