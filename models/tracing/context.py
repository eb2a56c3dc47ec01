"""The contract of a rule, and the context that all rules share while a program is walked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from jax.extend import core

from models.tracing.labels import Dimensions, Labels, Ties, carries, shape_of, whole

CUT = "cut "
"""How the name begins that a module gives a slice whose bounds may follow the number of channels.

The bounds in a user's own code are as they are; those in a graph are written anew by an export.
"""


class Read(NamedTuple):
    """An axis of an operand that an equation sums over, where removed channels must be silent."""

    operand: int
    axis: int
    labels: np.ndarray


class Piece(NamedTuple):
    """A slice of channels whose bounds follow the number of channels.

    Attributes:
        axis: of the slice.
        front: labels of the indices in front of the slice.
        labels: of the slice.
    """

    axis: int
    front: np.ndarray
    labels: np.ndarray


class Maker(NamedTuple):
    """A layer that makes channels: the path of its kernel, and the labels of the axis that runs over them."""

    path: str
    labels: np.ndarray
    kind: Literal["convolution", "dense"]


@dataclass
class Context:
    """Ties, reads and makers found so far.

    Attributes:
        ties: of all labels.
        origins: variable of the program that depends on arrays alone -> path of the array that it holds, up to
            shape and scale; None if it combines several.
        reads: by number of the equation.
        makers: in order of the program.
        uses: path -> multiply-accumulates of each element for one image.
        pieces: by number of the equation.
        named: numbers of the slices that the module named by :data:`CUT`.
        shuffles: numbers of the reshapes that begin a shuffle -> the axis over whose parts the shuffle runs.
        ties_parts: whether channels that are shuffled or split are tied part by part.
        parted: numbers of the reshapes and splits where they are.
    """

    ties: Ties = field(default_factory=Ties)
    origins: dict[core.Var, str | None] = field(default_factory=dict)
    reads: dict[int, list[Read]] = field(default_factory=dict)
    makers: list[Maker] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)
    pieces: dict[int, Piece] = field(default_factory=dict)
    named: frozenset[int] = frozenset()
    shuffles: Mapping[int, int] = field(default_factory=dict)
    ties_parts: bool = False
    parted: set[int] = field(default_factory=set)
    number: int = 0

    def origin(self, atom: Any) -> str | None:
        """The array that a variable comes from; None for data and for literals."""
        return None if isinstance(atom, core.Literal) else self.origins.get(atom)

    def tie(self, first: Labels, second: Labels, reason: str) -> Labels:
        """Tie two axes index by index; returns the labels of the result."""
        if first is None or second is None or first is second:
            return second if first is None else first
        self.ties.tie(first, second, reason)
        return first

    def keep(self, labels: Labels, reason: str) -> None:
        """Keep the channels of an axis."""
        if labels is not None and carries(labels):
            self.ties.keep(labels, reason)

    def tie_parts(self, labels: Labels, parts: int) -> bool:
        """Tie index ``i`` of each of several equal parts of an axis; False where parts are not to be tied."""
        if not self.ties_parts or labels is None or not carries(labels) or len(labels) % parts:
            return False
        first, *others = labels.reshape(parts, -1)
        for part in others:
            self.ties.tie(first, part, "parts of equal extent")
        self.parted.add(self.number)
        return True

    def keep_all(self, dimensions: Dimensions, reason: str) -> None:
        """Keep the channels of a value."""
        for labels in dimensions:
            self.keep(labels, reason)

    def read(self, operand: int, axis: int, labels: Labels) -> None:
        """Note that the current equation sums over an axis of an operand."""
        if labels is not None and carries(labels):
            self.reads.setdefault(self.number, []).append(Read(operand, axis, labels))


Rule = Callable[[core.JaxprEqn, Sequence[Dimensions], Context], list[Dimensions]]
"""From an equation and the labels of its operands to the labels of its results; adds ties to the context."""


def unknown(equation: core.JaxprEqn, operands: Sequence[Dimensions], context: Context) -> list[Dimensions]:
    """The rule of unknown primitives: keep the channels of all operands, with the primitive as the reason."""
    for dimensions in operands:
        context.keep_all(dimensions, equation.primitive.name)
    return [whole(shape_of(result)) for result in equation.outvars]
