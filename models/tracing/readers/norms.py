"""Finds the batch norms of a link: a stored mean is subtracted, and the result divided by a stored deviation."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from models.axes import groups_of
from models.contract import Norm
from models.tracing.analysis import Dependencies
from models.tracing.chain import Link
from models.tracing.labels import shape_of
from models.tracing.readers.flow import Flow, is_move
from models.tracing.readers.holders import held
from models.tracing.readers.layout import PREFIX
from models.tracing.readers.terms import by_channel

IMAGES = "images"
"""Name of the axis of images while statistics are measured."""


class TracedNorm(NamedTuple):
    """A batch norm and its place in the program.

    Attributes:
        norm: what the stage lists.
        number: of the equation that subtracts the mean.
        inputs: the variable that is normalised, of one image.
        channels: its axis that runs over the channels.
    """

    norm: Norm
    number: int
    inputs: core.Var
    channels: int

    def measured(self, values: dict[core.Var, Any]) -> dict[str, jax.Array]:
        """Mean and variance over all images: path -> ``float32[channels]``.

        Runs for one image under :func:`jax.vmap` over :data:`IMAGES`. Two passes, as
        :func:`models.stages.normed_convolution.moments`.
        """
        inputs = jnp.moveaxis(values[self.inputs], self.channels, -1).astype(jnp.float32)
        places = tuple(range(inputs.ndim - 1))
        mean = jax.lax.pmean(inputs.mean(places), IMAGES)
        variance = jax.lax.pmean(jnp.square(inputs - mean).mean(places), IMAGES)
        return {self.norm.mean: mean, self.norm.variance: variance}


def norms_of(link: Link, dependencies: Dependencies, flow: Flow) -> tuple[TracedNorm, ...]:
    """Find the batch norms of a link, in order of the program; ``flow`` is that of the program.

    A norm whose mean or variance is a trained array, or has another use, is none.
    """
    found: list[TracedNorm] = []
    for number, equation in link.equations:
        if equation.primitive.name != "sub":
            continue
        inputs, subtracted = equation.invars
        if isinstance(inputs, core.Literal) or flow.of_arrays(inputs) or not flow.of_arrays(subtracted):
            continue
        for axis, extent in enumerate(shape_of(inputs)):
            mean = held(flow, subtracted, axis, extent, ())
            if mean is None or mean[1] != 1:
                continue
            variance, factors = _multiplied(flow, equation.outvars[0], axis, extent)
            if variance is not None and not any(dependencies.specs[path].trained for path in (mean[0], variance)):
                scales = [f"{PREFIX}{path}" for path in factors if dependencies.specs[path].trained]
                seen = _seen(inputs, link, dependencies)
                norm = Norm(f"{PREFIX}{mean[0]}", f"{PREFIX}{variance}", seen, _only(scales))
                found.append(TracedNorm(norm, number, inputs, axis))
                break
    return tuple(found)


def _only(paths: Sequence[str]) -> str | None:
    return paths[0] if len(paths) == 1 else None


def _multiplied(flow: Flow, value: core.Var, axis: int, channels: int) -> tuple[str | None, list[str]]:
    """The array by whose root a value is divided, and the arrays by which the value is multiplied.

    Each has a number for each channel along an axis.
    """
    variance: str | None = None
    scales: list[str] = []
    while len(flow.uses[value]) == 1 and (use := flow.uses[value][0]) is not None:
        equation = use[1]
        name, place = equation.primitive.name, equation.invars.index(value)
        if name in ("mul", "div"):
            other = equation.invars[1 - place]
            if not by_channel(other, axis, channels) or (name == "div" and place == 1):
                break
            roots, factors = _parts(flow, other, name == "div", channels)
            variance = variance or _only(roots)
            scales += factors
        elif name not in ("copy", "copy_p", "name", "convert_element_type"):
            break
        value = equation.outvars[0]
    return variance, scales


def _parts(flow: Flow, factor: Any, inverse: bool, channels: int) -> tuple[list[str], list[str]]:
    """The arrays by whose roots a factor divides, and those by which a factor multiplies.

    The factor itself is a divisor if ``inverse``.
    """
    pending: list[tuple[Any, bool]] = [(factor, inverse)]
    roots: list[str] = []
    factors: list[str] = []
    while pending:
        atom, below = pending.pop()
        if isinstance(atom, core.Literal):
            continue
        if atom in flow.paths and not below and shape_of(atom) == (channels,):
            factors.append(flow.paths[atom])
        if atom not in flow.makers:
            continue
        equation = flow.makers[atom][1]
        name = equation.primitive.name
        if name == ("sqrt" if below else "rsqrt"):
            roots += _shifted(flow, equation.invars, channels)
        elif name == "div":
            above, under = equation.invars
            pending += [(above, below), (under, not below)]
        elif name in ("mul", "broadcast_in_dim") or is_move(equation):
            pending += [(operand, below) for operand in equation.invars]
    return roots, factors


def _shifted(flow: Flow, atoms: Sequence[Any], channels: int) -> list[str]:
    """The arrays that operands hold, perhaps plus a constant (epsilon)."""
    found = []
    for atom in atoms:
        if isinstance(atom, core.Literal):
            continue
        if atom in flow.paths:
            if len(flow.uses[atom]) == 1 and shape_of(atom) == (channels,):
                found.append(flow.paths[atom])
        elif atom in flow.makers:
            equation = flow.makers[atom][1]
            if equation.primitive.name in ("add", "add_any", "max", "broadcast_in_dim") or is_move(equation):
                found += _shifted(flow, equation.invars, channels)
    return found


def _seen(inputs: core.Var, link: Link, dependencies: Dependencies) -> tuple[str, ...]:
    """The groups over whose channels the link sums on its way to a value."""
    needed = {inputs}
    seen: dict[str, None] = {}
    for number, equation in reversed(link.equations):
        if not needed.isdisjoint(equation.outvars):
            needed |= {atom for atom in equation.invars if not isinstance(atom, core.Literal)}
            for read in dependencies.found.reads.get(number, ()):
                seen |= dict.fromkeys(groups_of(read.runs_over))
    return tuple(seen)
