"""LeNet-5 (LeCun et al. 1998, "Gradient-based learning applied to document recognition"), as in Asaraf Ali.

5x5 convolutions of 6 and 16 filters without padding, each with tanh and a 2x2 average pool, then dense layers of
120 and 84 neurons. On 32x32 grey images with 10 classes it has 61,706 parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
from flax import nnx

from models.axes import ArraySpec
from models.contract import DType, Keeps, Norm
from models.fields import scaled
from models.networks.chain import Chain, ChainBuilder
from models.networks.plain import PlainArchitecture
from models.readers import Reader
from models.windows import Window


@dataclass(frozen=True)
class LeNetArchitecture(PlainArchitecture):
    """Everything that fixes a LeNet's shapes; see :class:`models.networks.plain.PlainArchitecture`.

    ``sigmoid``: whether a sigmoid follows the last layer, as Asaraf Ali writes. Under the softmax of the
    cross-entropy it keeps the probabilities of any two classes within a factor of ``e``, so that the loss stays
    above 1.46 for 10 classes. The default is therefore plain logits.
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


def lenet5(
    name: str,
    *,
    sigmoid: bool = False,
    width_multiplier: float = 1.0,
    classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 1),
) -> LeNetArchitecture:
    """The network of LeCun et al. and Asaraf Ali; widths are rounded, at least 1."""
    return LeNetArchitecture(
        name,
        scaled((6, 16), width_multiplier),
        scaled((120, 84), width_multiplier),
        classes,
        input_shape,
        sigmoid,
    )


class SigmoidStage(nnx.Module):
    """The logistic function behind the last layer: ``float32[b, classes]`` -> the same shape, between 0 and 1."""

    def __init__(self, name: str):
        self.name = name
        self.reads: str | None = None
        self.groups: tuple[str, ...] = ()
        self.writes: str | None = None

    def specs(self) -> dict[str, ArraySpec]:
        """See :class:`models.contract.Stage`."""
        return {}

    def readers(self) -> tuple[Reader, ...]:
        """See :class:`models.contract.Stage`."""
        return ()

    def norms(self) -> tuple[Norm, ...]:
        """See :class:`models.contract.Stage`."""
        return ()

    def observe(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return {}

    def sums(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return {}

    def maps(self, carry: jax.Array) -> dict[str, list[jax.Array]]:
        """See :class:`models.contract.Stage`."""
        return {}

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """See :class:`models.contract.Stage`."""
        return jax.nn.sigmoid(carry)

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> dict[str, jax.Array]:
        """See :class:`models.contract.Stage`."""
        return {}

    def evaluate(self, prepared: Mapping[str, jax.Array], carry: jax.Array, keeps: Keeps) -> jax.Array:
        """See :class:`models.contract.Stage`."""
        return jax.nn.sigmoid(carry)
