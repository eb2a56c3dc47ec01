"""How the arrays of a reader are stored, read from the equations between the arrays and their use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from models.axes import extent
from models.tracing.analysis import Dependencies
from models.tracing.chain import Link
from models.tracing.execution import execute
from models.tracing.readers.flow import Stored
from models.tracing.readers.holders import Holder
from models.tracing.readers.terms import Factors

PREFIX = "arrays."
"""In front of the path of an array of the module, in a stage."""


@dataclass(frozen=True, eq=False, repr=False)
class TracedLayout:
    """A :class:`models.readers.KernelLayout` of arrays in any order of axes.

    Attributes:
        dependencies: of the program.
        link: the part of the program that holds the kernel.
        kernel: the operand of the kernel's equation.
        stored: the array that has the elements of ``kernel``.
        order: the axes of ``kernel``, rows and outputs last.
        holder: the array that can hold a constant; None if there is none.
    """

    dependencies: Dependencies
    link: Link
    kernel: core.Var
    stored_as: Stored
    order: tuple[int, ...]
    holder: Holder | None

    def rows(self, kernel: jax.Array, widths: Mapping[str, int]) -> jax.Array:
        """See :class:`models.readers.KernelLayout`."""
        values: dict[Any, Any] = {self.stored_as.array: kernel}
        execute(self.stored_as.moves, values, self.dependencies.found, {}, widths)
        return jnp.transpose(values[self.kernel], self.order)

    def stored(self, rows: jax.Array, widths: Mapping[str, int]) -> jax.Array:
        """See :class:`models.readers.KernelLayout`."""
        axes = self.dependencies.specs[self.stored_as.path].axes
        kernel = jnp.zeros([extent(axis, widths) for axis in axes], rows.dtype)
        # Elements are moved and not changed, so the transpose of this linear function is its inverse.
        _, transposed = jax.vjp(lambda kernel: self.rows(kernel, widths), kernel)
        (kernel,) = transposed(rows)
        return kernel

    def factor(self, arrays: Mapping[str, jax.Array], widths: Mapping[str, int]) -> Any:
        """See :class:`models.readers.KernelLayout`."""
        assert self.holder is not None, "readers without a bias take no constant"
        return product(self.dependencies, self.link, self.holder.sign, self.holder.factors, arrays, widths)


def product(
    dependencies: Dependencies,
    link: Link,
    sign: int,
    factors: Factors,
    arrays: Mapping[str, jax.Array],
    widths: Mapping[str, int],
) -> Any:
    """The product of a sign and of factors that depend on a link's arrays alone.

    A number, or one for each output.

    ``arrays`` are those of the stage, which have these widths.
    """
    trace = dependencies.trace
    values: dict[Any, Any] = dict(zip(trace.program.jaxpr.constvars, trace.program.consts, strict=True))
    for variable, path in zip(trace.program.jaxpr.invars, trace.variables, strict=False):
        if path in link.paths:
            values[variable] = arrays[f"{PREFIX}{path}"]
    execute(link.weights, values, dependencies.found, {}, widths)
    result: Any = float(sign)
    for atom, divides in factors:
        operand = atom.val if isinstance(atom, core.Literal) else values[atom]
        operand = jnp.reshape(operand, -1)
        result = result / operand if divides else result * operand
    return result
