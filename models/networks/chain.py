"""A network that is a plain chain of stages, and the builder of its stages."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
from flax import nnx

from models.contract import Architecture, FilterGroup, Keeps, Stage, run_chain
from models.lowering.convolution import PoolName, pooled_size
from models.stages.activations import ActivationName
from models.stages.convolution import ConvolutionStage
from models.stages.dense import DenseStage
from models.windows import Window


class Chain(nnx.Module):
    """See :class:`models.contract.Network`."""

    def __init__(self, architecture: Architecture, stages: Sequence[Stage], groups: Sequence[FilterGroup]):
        self.architecture = architecture
        self.stages = nnx.List(stages)
        self.filter_groups = tuple(groups)

    def __call__(
        self, inputs: jax.Array, keeps: Keeps | None = None, *, training: bool = False, rngs: Any = None
    ) -> jax.Array:
        """See :class:`models.contract.Network`."""
        return run_chain(self.stages, inputs, keeps, training=training, rngs=rngs)


def blank_of(architecture: Any) -> Chain:
    """A network of VGG's, ResNet's or a plain family whose arrays are shapes only: no two calls share an array.

    The initialisers are traced once for each architecture, which takes a quarter of a second for a VGG-16.
    """
    # Python holds 1, 1.0 and True for equal, so that equal architectures may differ; their texts do.
    graph, shapes = _shapes(architecture, repr(architecture))
    network: Chain = nnx.merge(graph, jax.tree.map(lambda shape: shape, shapes))
    return network


@lru_cache(maxsize=64)
def _shapes(architecture: Any, text: str) -> Any:
    return nnx.split(nnx.eval_shape(architecture.build))


class ChainBuilder:
    """Chains convolutions and dense layers; each layer reads the channels that the layer before it wrote.

    ``stages`` and ``groups`` grow with each call.
    """

    def __init__(self, input_shape: tuple[int, int, int], rngs: nnx.Rngs):
        height, width, self._channels = input_shape
        self._size = (height, width)
        self._positions = height * width
        self._averaged = False
        self._reads: str | None = None
        self._rngs = rngs
        self.stages: list[Stage] = []
        self.groups: list[FilterGroup] = []

    def convolution(
        self,
        name: str,
        filters: int,
        *,
        window: Window,
        batch_norm: bool = False,
        activation: ActivationName = "relu",
        pool: PoolName | None = None,
        dropout: float = 0.0,
        epsilon: float = 1e-5,
    ) -> None:
        """Add a convolution, see :class:`models.stages.convolution.ConvolutionStage`."""
        stage = ConvolutionStage(
            name,
            self._reads,
            self._channels,
            filters,
            size=self._size,
            window=window,
            batch_norm=batch_norm,
            activation=activation,
            pool=pool,
            dropout=dropout,
            epsilon=epsilon,
            rngs=self._rngs,
        )
        self._size = pooled_size(window.outputs(self._size), pool)
        self._positions = self._size[0] * self._size[1]
        self._add(stage, FilterGroup(name, filters, "convolution"))

    def average(self) -> None:
        """Let the next layer, a dense one, read the mean over all places of the map."""
        self._averaged, self._positions = True, 1

    def dense(self, name: str, units: int, *, activation: ActivationName = "relu", dropout: float = 0.0) -> None:
        """Add a hidden dense layer; behind a feature map, all its places are flattened."""
        stage = DenseStage(
            name,
            self._reads,
            self._channels,
            units,
            positions=self._positions,
            averaged=self._averaged,
            activation=activation,
            dropout=dropout,
            rngs=self._rngs,
        )
        self._positions, self._averaged = 1, False
        self._add(stage, FilterGroup(name, units, "dense"))

    def logits(self, classes: int) -> None:
        """Add the last dense layer."""
        self.stages.append(
            DenseStage(
                "logits",
                self._reads,
                self._channels,
                classes,
                positions=self._positions,
                averaged=self._averaged,
                head=True,
                rngs=self._rngs,
            )
        )

    def _add(self, stage: Stage, group: FilterGroup) -> None:
        self.stages.append(stage)
        self.groups.append(group)
        self._channels, self._reads = group.size, group.name
