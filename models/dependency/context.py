"""What the rules of all primitives share while a program is walked."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from jax.extend import core

from models.dependency.dimensions import Dimensions, Labels, carries
from models.dependency.ties import Ties


class Read(NamedTuple):
    """An axis of an operand that an equation sums over: there removed channels must be silent."""

    operand: int
    axis: int
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
        origins: each variable of the program that no image reaches -> path of the array that it is, but for
            its shape or scale; None where that is no single one.
        reads: by number of the equation.
        makers: in order of the program.
        uses: path -> multiply-accumulates of each element for one image.
    """

    ties: Ties = field(default_factory=Ties)
    origins: dict[core.Var, str | None] = field(default_factory=dict)
    reads: dict[int, list[Read]] = field(default_factory=dict)
    makers: list[Maker] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)
    number: int = 0

    def origin(self, atom: Any) -> str | None:
        """The array that a variable comes from; None for data and for literals."""
        return None if isinstance(atom, core.Literal) else self.origins.get(atom)

    def tie(self, first: Labels, second: Labels, reason: str) -> Labels:
        """Two axes that go index by index; what their result carries."""
        if first is None or second is None or first is second:
            return second if first is None else first
        self.ties.tie(first, second, reason)
        return first

    def keep(self, labels: Labels, reason: str) -> None:
        """An axis that has to stay."""
        if labels is not None and carries(labels):
            self.ties.keep(labels, reason)

    def keep_all(self, dimensions: Dimensions, reason: str) -> None:
        """A value that has to stay."""
        for labels in dimensions:
            self.keep(labels, reason)

    def read(self, operand: int, axis: int, labels: Labels) -> None:
        """The equation under way sums over an axis of an operand."""
        if labels is not None and carries(labels):
            self.reads.setdefault(self.number, []).append(Read(operand, axis, labels))
