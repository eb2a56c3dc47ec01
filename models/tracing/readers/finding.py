"""Finds the readers of a link: its convolutions and matrix products of a stored kernel with channels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from models.axes import groups_of
from models.readers import Reader, Sum
from models.tracing.analysis import Dependencies
from models.tracing.chain import Link
from models.tracing.groups import CONTRACTIONS, ChannelRead, layer_of
from models.tracing.labels import shape_of
from models.tracing.readers.flow import Flow
from models.tracing.readers.holders import holder
from models.tracing.readers.layout import PREFIX, TracedLayout, product
from models.tracing.readers.terms import TracedSum, last_sum
from models.windows import Sliding


class NotCompensated(NamedTuple):
    """Weights that read channels and cannot make up for removed ones."""

    layer: str
    reason: str

    def __str__(self) -> str:
        """``not compensated: conv3, because its kernel has several uses``."""
        return f"not compensated: {self.layer}, because {self.reason}"


class Shown(NamedTuple):
    """What a kernel reads: a variable, its axes in the order ``[..., rows]``, and steps along these axes."""

    variable: Any
    order: tuple[int, ...]
    steps: tuple[int, ...]

    def of(self, values: Mapping[Any, jax.Array]) -> jax.Array:
        """``[..., rows]``, from the values of all variables."""
        value = jnp.transpose(values[self.variable], self.order)
        return value[tuple(slice(None, None, step) for step in self.steps)]


@dataclass(frozen=True, eq=False, repr=False)
class LinkReaders:
    """The readers of a link.

    Attributes:
        readers: in order of the program.
        shown: path of a reader's kernel -> what the kernel reads.
        sums: path of a reader's kernel -> what the kernel's results go into.
        missing: what reads channels and is no reader.
    """

    readers: tuple[Reader, ...]
    shown: Mapping[str, Shown]
    sums: Mapping[str, TracedSum]
    missing: tuple[NotCompensated, ...]


class _Contraction(NamedTuple):
    """A convolution or matrix product of a kernel with channels.

    Attributes:
        kernel: its operand.
        order: the axes of the kernel: others, rows, outputs.
        shown: what the kernel reads.
        sliding: of the kernel over the axes in front of the rows.
        axis: of the result, that runs over the kernel's outputs.
    """

    kernel: Any
    order: tuple[int, ...]
    shown: Shown
    sliding: Sliding
    axis: int


def readers_of(link: Link, dependencies: Dependencies, flow: Flow) -> LinkReaders:
    """Find the readers of a link; ``flow`` is that of the program."""
    readers: list[Reader] = []
    shown: dict[str, Shown] = {}
    sums: dict[str, TracedSum] = {}
    missing: list[NotCompensated] = []
    taken: set[str] = set()
    for number, equation in link.equations:
        reads = dependencies.found.reads.get(number, ())
        reads = tuple(read for read in reads if not flow.of_arrays(equation.invars[read.operand]))
        if not reads or equation.primitive.name not in CONTRACTIONS:
            continue
        found = _contraction(equation, reads, flow)
        stored = found if isinstance(found, str) else flow.stored(found.kernel)
        if isinstance(found, str) or isinstance(stored, str):
            missing.append(NotCompensated(_layer(equation, reads, flow), str(stored)))
            continue
        result = equation.outvars[0]
        held = holder(flow, result, found.axis, taken | {stored.path})
        taken |= {stored.path} if held is None else {stored.path, held.path}
        layout = TracedLayout(dependencies, link, found.kernel, stored, found.order, held)
        operand = equation.invars.index(found.kernel)
        outputs = dependencies.found.contracted[number][operand][found.order[-1]]
        kernel, bias = f"{PREFIX}{stored.path}", None if held is None else f"{PREFIX}{held.path}"
        shown[kernel] = found.shown
        sums[kernel] = last_sum(flow, result, found.axis, link)
        term = sums[kernel].term
        gain = partial(product, dependencies, link, term.sign, term.factors)
        scales = {path for factor, _ in term.factors for path in flow.arrays_behind(factor)}
        added = Sum(gain, sums[kernel].rectified, term.alone, frozenset(f"{PREFIX}{path}" for path in scales))
        over = reads[0].runs_over
        for group in dict.fromkeys(groups_of(over)):
            readers.append(Reader(group, kernel, bias, over, outputs, found.sliding, layout, added))
    return LinkReaders(tuple(readers), shown, sums, tuple(missing))


def _contraction(equation: core.JaxprEqn, reads: Iterable[ChannelRead], flow: Flow) -> _Contraction | str:
    """The parts of an equation; or the reason why it is not that of a kernel with channels."""
    first, *more = reads
    kernel = equation.invars[1 - first.operand]
    if not flow.of_arrays(kernel):
        return "both of its factors depend on the image"
    if more:
        return "it sums over several axes of channels"
    convolves = equation.primitive.name == "conv_general_dilated"
    return _convolution(equation) if convolves else _product(equation, first)


def _convolution(equation: core.JaxprEqn) -> _Contraction | str:
    given = equation.params
    numbers = given["dimension_numbers"]
    if set(given["lhs_dilation"]) - {1}:
        return "it is a transposed convolution"
    image, kernel = equation.invars
    # A program is for one image, but its own code may have made several of it.
    extents = (1, *(shape_of(kernel)[axis] for axis in numbers.rhs_spec[2:]))
    strides, padding = (1, *given["window_strides"]), ((0, 0), *map(tuple, given["padding"]))
    # A kernel of one element sees one place in a stride.
    skips = [n == 1 and pad == (0, 0) for n, pad in zip(extents, padding, strict=True)]
    steps = tuple(stride if skip else 1 for stride, skip in zip(strides, skips, strict=True))
    left = tuple(1 if skip else stride for stride, skip in zip(strides, skips, strict=True))
    shown = Shown(image, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]), (*steps, 1))
    order = (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0])
    sliding = Sliding(extents, left, padding, (1, *given["rhs_dilation"]))
    return _Contraction(kernel, order, shown, sliding, numbers.out_spec[1])


def _product(equation: core.JaxprEqn, read: ChannelRead) -> _Contraction | str:
    contracted, batched = equation.params["dimension_numbers"]
    side = read.operand
    data, kernel = equation.invars[side], equation.invars[1 - side]
    free = [
        [axis for axis in range(len(shape_of(atom))) if axis not in (*contracted[place], *batched[place])]
        for place, atom in enumerate(equation.invars)
    ]
    if batched[side]:
        return "its kernel differs from place to place"
    if len(free[1 - side]) != 1:
        return "its results have several axes of channels"
    place = contracted[side].index(read.axis)
    others = [other for other in range(len(contracted[side])) if other != place]
    order = (*(contracted[1 - side][other] for other in others), contracted[1 - side][place], *free[1 - side])
    seen = (*free[side], *(contracted[side][other] for other in others), read.axis)
    extents = (
        *(1 for _ in free[side]),
        *(shape_of(data)[contracted[side][other]] for other in others),
    )
    ones = (1,) * len(extents)
    sliding = Sliding(extents, ones, ((0, 0),) * len(extents), ones)
    axis = 0 if side == 1 else len(free[side])
    return _Contraction(kernel, order, Shown(data, seen, (1,) * len(seen)), sliding, axis)


def _layer(equation: core.JaxprEqn, reads: Iterable[ChannelRead], flow: Flow) -> str:
    """The layer whose arrays the equation reads; or what the equation reads, if there are none."""
    for atom in reversed(equation.invars):
        if flow.of_arrays(atom):
            for path in flow.arrays_behind(atom):
                return layer_of(path)
    groups = dict.fromkeys(group for read in reads for group in groups_of(read.runs_over))
    return f"the {equation.primitive.name} behind {' and '.join(groups)}"
