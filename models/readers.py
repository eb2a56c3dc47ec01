"""Weights that read channels: how the weights are stored, and the sum that their results go into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax

from models.axes import Axis, Joined, groups_of
from models.windows import Sliding


class KernelLayout(Protocol):
    """How the arrays of a reader are stored.

    ``widths`` are the channels that each group has in the arrays that are given.
    """

    def rows(self, kernel: jax.Array, widths: Mapping[str, int]) -> jax.Array:
        """The kernel as ``[..., rows, outputs]``, from the kernel as it is stored."""
        ...

    def stored(self, rows: jax.Array, widths: Mapping[str, int]) -> jax.Array:
        """Inverse of :meth:`rows`."""
        ...

    def factor(self, arrays: Mapping[str, jax.Array], widths: Mapping[str, int]) -> Any:
        """What to add to the bias so that the kernel's result grows by 1: a number or ``float32[outputs]``.

        ``arrays`` are all those of the stage.
        """
        ...


class AsComputed:
    """The layout of arrays that are stored as they are computed with: a :class:`KernelLayout`."""

    def rows(self, kernel: jax.Array, widths: Mapping[str, int]) -> jax.Array:
        """The kernel itself."""
        return kernel

    def stored(self, rows: jax.Array, widths: Mapping[str, int]) -> jax.Array:
        """The kernel itself."""
        return rows

    def factor(self, arrays: Mapping[str, jax.Array], widths: Mapping[str, int]) -> Any:
        """The bias is added to the kernel's result."""
        return 1.0


class Sum(NamedTuple):
    """The sum of a kernel's results, the bias, a batch norm and a shortcut, before the activation.

    Attributes:
        gain: by how much the sum grows if the kernel's result grows by 1, a number or ``float32[outputs]``, from
            the stage's arrays and the channels that each group has in the arrays.
        rectified: whether nothing but ``max(sum, 0)`` is used, so that all negative sums are alike.
        alone: whether nothing else in the sum depends on the images.
        scales: paths of the arrays that the gain depends on.
    """

    gain: Callable[[Mapping[str, jax.Array], Mapping[str, int]], Any]
    rectified: bool
    alone: bool = True
    scales: frozenset[str] = frozenset()


def unit_gain(arrays: Mapping[str, jax.Array], widths: Mapping[str, int]) -> Any:
    """The gain of a sum into which the kernel's results go unscaled."""
    return 1.0


class Reader(NamedTuple):
    """Weights that read the channels of a group: compensation changes them when some channels are removed.

    A kernel behind a concatenation reads several groups and has a reader for each.

    Attributes:
        group: the channels.
        kernel: path of an array, ``[..., rows, outputs]`` in the form that ``layout`` gives.
        bias: path of an array with a number for each output, which can hold a constant; None if there is none.
        rows: the axis of the kernel that is summed over; the last axis of what
            :meth:`models.contract.Stage.observe` returns.
        outputs: the last axis of the kernel.
        sliding: how the kernel moves over what :meth:`models.contract.Stage.observe` returns.
        layout: of the kernel and the bias.
        sum: what the kernel's results go into.
    """

    group: str
    kernel: str
    bias: str | None
    rows: Axis | Joined
    outputs: Axis | Joined | int
    sliding: Sliding = Sliding()
    layout: KernelLayout = AsComputed()
    sum: Sum = Sum(unit_gain, rectified=False)

    @property
    def several(self) -> bool:
        """Whether the kernel reads other groups too."""
        return isinstance(self.rows, Joined) and len({*groups_of(self.rows)}) > 1
