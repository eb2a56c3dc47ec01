"""The contract of a network: a chain of prunable stages.

Stage *i* maps a carry (activations) to the next carry. A filter group is a set of channels that are kept or
removed one by one; several stages may share a group (channels tied by a shortcut). A stage silences the removed
channels of the carry that it *reads*, behind the activation that made them, so that masking a filter equals
removing it. A carry is silenced where it is read, not where it is written, so the carry behind stage *i*
depends only on the slices before it: masks that first differ in what stage *i* writes share its work too.

Shapes: ``b`` images, ``c`` channels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp

from models.axes import ArraySpec
from models.readers import Reader

DType = Any
"""``jnp.float32`` or ``jnp.bfloat16``."""


class Stage(Protocol):
    """One link of the chain. Implementations are Flax NNX modules."""

    name: str

    reads: str | None
    """Group of the channels of the carry that comes in; None if they cannot be pruned."""

    groups: tuple[str, ...]
    """Groups whose slices act within the stage, beyond ``reads``; without a group that the stage only writes."""

    writes: str | None
    """Group of the channels of the carry that goes out."""

    def specs(self) -> dict[str, ArraySpec]:
        """Every array of the stage, by variable path."""
        ...

    def readers(self) -> tuple[Reader, ...]:
        """Weights that can make up for removed channels; weights that are not listed are never compensated."""
        ...

    def observe(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """The input of each reader's kernel under ``keeps``: path of the kernel -> ``float32[b, ..., rows]``.

        Channels that the kernel reads and ``keeps`` remove may hold any value.
        """
        ...

    def sums(self, carry: jax.Array, keeps: Keeps) -> dict[str, jax.Array]:
        """The sum that each reader's results go into: path of the kernel -> ``float32[b, ..., outputs]``.

        See :class:`models.readers.Sum`. The axes between are those of the kernel's results.
        """
        ...

    def maps(self, carry: jax.Array) -> dict[str, list[jax.Array]]:
        """Feature maps that the stage makes of a whole carry, behind their activation and in front of pooling.

        Group -> maps ``float32[b, ..., group size]``, whose other axes are height and width; a dense layer has
        none. Several maps of a group have the same channels.
        """
        ...

    def norms(self) -> tuple[Norm, ...]:
        """Batch norms in the order in which data passes them; norms that are not listed keep their statistics."""
        ...

    def __call__(self, carry: jax.Array, keeps: Keeps, *, training: bool = False, rngs: Any = None) -> jax.Array:
        """Map the carry, whose removed channels may hold any value."""
        ...

    def prepare(self, arrays: Mapping[str, jax.Array], precision: DType) -> Any:
        """The argument of :meth:`evaluate`: a pytree of weights in the form and type that compute fastest.

        ``arrays`` have the shapes of :meth:`specs`, or smaller ones where channels are left out. Runs under
        ``jax.jit``, once for many calls of :meth:`evaluate`.
        """
        ...

    def evaluate(self, prepared: Any, carry: jax.Array, keeps: Keeps) -> jax.Array:
        """As ``__call__`` without training, up to rounding. Runs under ``jax.jit``."""
        ...


class NormedStage(Stage, Protocol):
    """A stage that lists batch norms."""

    def calibrate(
        self,
        arrays: Mapping[str, jax.Array],
        precision: DType,
        carry: jax.Array,
        keeps: Keeps,
        measured: Collection[Norm],
        matchings: Mapping[str, Matching] | None,
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Measure the statistics of some norms, each behind the measured norms in front of it.

        Runs under ``jax.jit``.

        Args:
            arrays: as for :meth:`prepare`.
            precision: of the weights and the carry; statistics are always computed in ``float32``.
            carry: of all calibration images.
            keeps: as for :meth:`evaluate`.
            measured: some of :meth:`norms`; the others normalise by their arrays.
            matchings: of the norms that are measured, by the path of their mean. None: the moments are wanted as
                training would measure them, and all norms normalise by their arrays.

        Returns:
            Path of each measured mean and variance -> ``float32[channels]``, the variance not corrected for the
            number of images; and the carry that goes out.
        """
        ...


class Network(Protocol):
    """A chain of stages. Implementations are Flax NNX modules."""

    @property
    def architecture(self) -> Architecture:
        """The architecture that fixes the shapes; it builds smaller networks of the same class."""
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


class Architecture(Protocol):
    """Everything that fixes the shapes of a network. Implementations are frozen dataclasses, one a family."""

    family: ClassVar[str]
    """The name of the class in ``model.json``."""

    @property
    def name(self) -> str:
        """The network's name, for people."""
        ...

    @property
    def classes(self) -> int:
        """The number of logits."""
        ...

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        ...

    def with_widths(self, widths: Mapping[str, int]) -> Self:
        """The same network with other numbers of filters in the groups named."""
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

    def build(self, seed: int = 0) -> Network:
        """A freshly initialised network."""
        ...

    def blank(self) -> Network:
        """A network whose arrays are shapes only, to count or to fill; costs no time or memory."""
        ...


@dataclass(frozen=True)
class FilterGroup:
    """A named set of prunable channels, and the kind of layer that makes them."""

    name: str
    size: int
    kind: Literal["convolution", "dense"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Gate:
    """Multiplies the channels of a group, wherever a stage reads them, by ``float32[b, group size]``."""

    values: jax.Array


Keeps = Mapping[str, Any]
"""Group name -> ``bool[group size]``, True = keep. A group that is absent is kept whole.

``__call__`` of a stage or network also takes a :class:`Gate` in place of a slice; ``evaluate`` does not.
"""


class Norm(NamedTuple):
    """A batch norm, whose statistics recalibration replaces where a removal changes the input.

    Attributes:
        mean: path of an array ``[channels]``.
        variance: path of an array ``[channels]``.
        groups: groups whose removed channels change the input, among those that the stage itself reads.
        scale: path of a trained array ``[channels]`` that multiplies the normalised input; None if there is none.
    """

    mean: str
    variance: str
    groups: tuple[str, ...]
    scale: str | None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Matching:
    """Gives a norm statistics with which its output keeps the moments that it has in the original network.

    Attributes:
        scale, least: ``float32[channels]``; the norm's variance is ``scale * measured variance + least``.
        shift: ``float32[channels]``; the norm's mean is the measured mean less this many standard deviations.
    """

    scale: Any
    least: Any
    shift: Any

    def of(self, mean: jax.Array, variance: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and variance to normalise by, from those that were measured."""
        matched = self.scale * variance + self.least
        return mean - self.shift * jnp.sqrt(matched), matched


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
    """Zero the removed channels of ``[b, ..., c]``, which belong to ``group``; or apply its gate.

    A select, not a product: a removed filter that yields NaN must leave no trace, as if it were gone.
    """
    keep = None if group is None else keeps.get(group)
    if keep is None:
        return carry
    if isinstance(keep, Gate):
        return carry * keep.values.reshape(len(carry), *[1] * (carry.ndim - 2), -1)
    return jnp.where(keep, carry, jnp.zeros((), carry.dtype))
