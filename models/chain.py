"""A network that is one stage behind the other, and the builder of its stages."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx

from models.activations import ActivationName
from models.convolution import PoolName
from models.convolution_stage import ConvolutionStage
from models.dense_stage import DenseStage
from models.stages import Architecture, FilterGroup, Keeps, Stage, run_chain
from models.window import Window


class Chain(nnx.Module):
    """See :class:`models.stages.Network`."""

    def __init__(self, architecture: Architecture, stages: Sequence[Stage], groups: Sequence[FilterGroup]):
        self.architecture = architecture
        self.stages = nnx.List(stages)
        self.filter_groups = tuple(groups)

    def __call__(
        self, inputs: jax.Array, keeps: Keeps | None = None, *, training: bool = False, rngs: Any = None
    ) -> jax.Array:
        """See :class:`models.stages.Network`."""
        return run_chain(self.stages, inputs, keeps, training=training, rngs=rngs)


class ChainBuilder:
    """Puts convolutions and dense layers one behind the other; each reads what the one before wrote.

    ``stages`` and ``groups`` grow with each call.
    """

    def __init__(self, input_shape: tuple[int, int, int], rngs: nnx.Rngs):
        height, width, self._channels = input_shape
        self._size = (height, width)
        self._positions = height * width
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
    ) -> None:
        """Add a convolution, see :class:`models.convolution_stage.ConvolutionStage`."""
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
            rngs=self._rngs,
        )
        height, width = window.outputs(self._size)
        self._size = (height, width) if pool is None else (height // 2, width // 2)
        self._positions = self._size[0] * self._size[1]
        self._add(stage, FilterGroup(name, filters, "convolution"))

    def dense(self, name: str, units: int, *, activation: ActivationName = "relu", dropout: float = 0.0) -> None:
        """Add a hidden dense layer; behind a feature map, all its places are flattened."""
        stage = DenseStage(
            name,
            self._reads,
            self._channels,
            units,
            positions=self._positions,
            activation=activation,
            dropout=dropout,
            rngs=self._rngs,
        )
        self._positions = 1
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
                head=True,
                rngs=self._rngs,
            )
        )

    def _add(self, stage: Stage, group: FilterGroup) -> None:
        self.stages.append(stage)
        self.groups.append(group)
        self._channels, self._reads = group.size, group.name
