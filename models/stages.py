"""The contract of a network: a chain of prunable stages.

Stage *i* maps a carry (activations) to the next carry. A filter group is a set of channels that are kept or
removed one by one; several stages may share one (channels tied by a shortcut). A stage silences the removed
channels of the carry that it *reads*, behind the activation that made them, so that masking a filter equals
removing it. Silencing where a carry is read, not where it is written, lets masks that first differ in stage
*i* share the work of stage *i* too: its carry depends on the slices before it alone.

Shapes: ``b`` images, ``c`` channels.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp

from models.window import Window

DType = Any
"""``jnp.float32`` or ``jnp.bfloat16``."""

Probe = Callable[[jax.Array], jax.Array]
"""Is shown the channels ``[..., c]`` of a group whenever a stage reads them; answers what it reads instead."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Gate:
    """Multiplies the channels of a group, whenever a stage reads them, by ``float32[b, group size]``."""

    values: jax.Array


Keeps = Mapping[str, Any]
"""Group name -> ``bool[group size]``, True = keep. A group that is absent is kept whole.

``__call__`` of a stage or network, not ``evaluate``, also takes a :class:`Gate` in place of a slice; or a
:data:`Probe`, but that of a network whose layers do not tell what they read.
"""


@dataclass(frozen=True)
class FilterGroup:
    """A named set of prunable channels, and the kind of layer that makes them."""

    name: str
    size: int
    kind: Literal["convolution", "dense"]


class Axis(NamedTuple):
    """An axis of an array that runs over the channels of a group, at each of ``positions`` places in turn.

    Behind a flattened feature map, index ``position * group size + channel`` belongs to the channel. Each
    channel has ``run`` neighbouring indices; more than one behind a convolution in groups.
    """

    group: str
    positions: int = 1
    run: int = 1


class Joined(NamedTuple):
    """An axis behind a concatenation: parts one after the other, all of them at each of ``positions`` places.

    A part that is a number is the extent of indices that no mask touches.
    """

    parts: tuple[Axis | int, ...]
    positions: int = 1


@dataclass(frozen=True)
class ArraySpec:
    """What an array of a stage means; all that cost, pruning and compaction need to know.

    Attributes:
        axes: an :class:`Axis` or :class:`Joined`, or the extent of an axis that no mask touches.
        uses: multiply-accumulates of each element for one image.
        trained: whether it counts as a parameter; batch statistics do not.
    """

    axes: tuple[Axis | Joined | int, ...]
    uses: int = 0
    trained: bool = True


class Reader(NamedTuple):
    """Weights that read the channels of a group: what compensation changes when some are removed.

    Attributes:
        group: the channels.
        kernel: path of an array ``[..., positions * channels, outputs]``, channels fastest.
        bias: path of an array ``[outputs]``, added to what the kernel gives before anything else happens to it.
        window: how a convolution's kernel moves over what :meth:`Stage.observe` shows; None for a dense layer,
            whose kernel reads all of it.
    """

    group: str
    kernel: str
    bias: str
    window: Window | None = None


class Stage(Protocol):
    """One link of the chain. Implementations are Flax NNX modules."""

    name: str

    reads: str | None
    """Group of the channels of the carry that comes in; None if they cannot be pruned."""

    groups: tuple[str, ...]
    """Groups whose slices act within the stage, beyond ``reads``; not the one that it only writes."""

    writes: str | None
    """Group of the channels of the carry that goes out."""

    def specs(self) -> dict[str, ArraySpec]:
        """Every array of the stage, by variable path."""
        ...

    def readers(self) -> tuple[Reader, ...]:
        """Weights that can make up for removed channels; those left out are never compensated."""
        ...

    def observe(self, carry: jax.Array) -> dict[str, jax.Array]:
        """What each reader reads with nothing removed: path of its kernel -> ``float32[b, ..., channels]``."""
        ...

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """Map the carry, whose removed channels may hold anything."""
        ...

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> Any:
        """What :meth:`evaluate` takes: a pytree of weights in the form and type that computes fastest.

        ``arrays`` have the shapes of :meth:`specs`, or smaller ones where channels are left out. Runs
        under ``jax.jit``, once for many calls of :meth:`evaluate`.
        """
        ...

    def evaluate(self, prepared: Any, carry: jax.Array, keeps: Keeps) -> jax.Array:
        """As ``__call__`` without training, up to rounding. Runs under ``jax.jit``."""
        ...


class Architecture(Protocol):
    """What fixes the shapes of a network. Implementations are frozen dataclasses, one for each family."""

    family: ClassVar[str]
    """What ``model.json`` calls the class."""

    @property
    def name(self) -> str:
        """Of the network, for people."""
        ...

    @property
    def classes(self) -> int:
        """How many logits."""
        ...

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        ...

    def with_widths(self, widths: Mapping[str, int]) -> Self:
        """The same network with other numbers of filters for the groups named."""
        ...

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal architecture; holds ``family``."""
        ...

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_json`.

        Raises:
            ArchitectureError: a field is missing, of the wrong type or out of its range.
        """
        ...

    def build(self, seed: int = 0) -> "Network":
        """A freshly initialised network."""
        ...

    def blank(self) -> "Network":
        """A network whose arrays are shapes only, to count or to fill; costs no time or memory."""
        ...


class Network(Protocol):
    """A chain of stages. Implementations are Flax NNX modules."""

    @property
    def architecture(self) -> Architecture:
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


def silence(carry: jax.Array, keeps: Keeps, group: str | None) -> jax.Array:
    """Zero the removed channels of ``[b, ..., c]``, which belong to ``group``; or gate them, or show them.

    A select, not a product: a removed filter that yields NaN must leave no trace, as if it were gone.
    """
    keep = None if group is None else keeps.get(group)
    if keep is None:
        return carry
    if isinstance(keep, Gate):
        return carry * keep.values.reshape(len(carry), *[1] * (carry.ndim - 2), -1)
    return keep(carry) if callable(keep) else jnp.where(keep, carry, jnp.zeros((), carry.dtype))
