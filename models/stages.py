"""The contract of a network: a chain of prunable stages.

Stage *i* maps a carry (activations) to the next carry and silences its prunable channels *after* the
activation, so that masking a filter equals removing it, and two masks that agree on the first *i* stages
share the carry there. A filter group is a set of channels that are kept or removed one by one; a stage
names the groups it reads, and several stages may read one group (channels tied by a shortcut).

Shapes: ``b`` images, ``c`` channels, ``n`` masks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

Keeps = Mapping[str, Any]
"""Group name -> ``bool[group size]``, True = keep. A group that is absent is kept whole."""


@dataclass(frozen=True)
class FilterGroup:
    """A named set of prunable channels, and the kind of layer that makes them."""

    name: str
    size: int
    kind: Literal["convolution", "dense"]


class StageCost(NamedTuple):
    """Cost of one stage for ``n`` masks; each field is ``int64[n]``."""

    parameters: np.ndarray
    macs: np.ndarray
    channels: np.ndarray
    """Channels of the carry that the stage hands on."""


class Stage(Protocol):
    """One link of the chain. Implementations are Flax NNX modules."""

    name: str
    groups: tuple[str, ...]

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """Map the carry; channels that ``keeps`` removes come out as exact zeros."""
        ...

    def cost(self, channels: np.ndarray, kept: Mapping[str, np.ndarray]) -> StageCost:
        """Cost when the carry has ``channels`` (``int64[n]``) and each group keeps ``kept`` filters."""
        ...

    def sliced(self, channels: np.ndarray, keeps: Keeps) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Arrays of the physically smaller stage, by variable path, and the channels it hands on.

        ``channels``: ``bool[c]``, the channels of the carry that still exist.
        """
        ...


class Network(Protocol):
    """A chain of stages. Implementations are Flax NNX modules."""

    @property
    def architecture(self) -> Any:
        """What fixes the shapes; builds smaller networks of the same class."""
        ...

    @property
    def stages(self) -> Iterable[Stage]:
        """The chain."""
        ...

    @property
    def filter_groups(self) -> tuple[FilterGroup, ...]:
        """All prunable channels, in order of the chain."""
        ...

    def __call__(
        self, inputs: jax.Array, keeps: Keeps | None = None, *, training: bool = False, rngs: Any = None
    ) -> jax.Array:
        """Logits ``float32[b, classes]`` of normalised images ``float32[b, height, width, channels]``."""
        ...


def run_chain(
    stages: Iterable[Stage],
    carry: jax.Array,
    keeps: Keeps | None = None,
    *,
    training: bool = False,
    rngs: Any = None,
) -> jax.Array:
    """Pass a carry through all stages."""
    for stage in stages:
        carry = stage(carry, keeps or {}, training=training, rngs=rngs)
    return carry


def silence(activations: jax.Array, keep: Any | None) -> jax.Array:
    """Zero the removed channels of ``[..., c]``.

    A select, not a product: a removed filter that yields NaN must leave no trace, as if it were gone.
    """
    if keep is None:
        return activations
    return jnp.where(keep, activations, jnp.zeros((), activations.dtype))
