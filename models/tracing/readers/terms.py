"""The sums that a kernel's result is a term of, one behind the other, and the sum that an activation takes."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from models.tracing.chain import Link
from models.tracing.labels import shape_of
from models.tracing.readers.flow import Flow

Factors = tuple[tuple[Any, bool], ...]
"""Operands that a result is multiplied by, or divided by where the flag is set."""


class Term(NamedTuple):
    """A sum, and what the kernel's result is multiplied by in that sum.

    Attributes:
        value: the variable of the sum.
        axis: of ``value``, that runs over the kernel's outputs.
        sign: 1 or -1.
        factors: a number each, or one for each output.
        added: the operand that was added last; None if the last step was no addition.
        direction: 1, or -1 where ``added`` was subtracted.
        alone: whether all that was added depends on arrays alone.
    """

    value: Any
    axis: int
    sign: int = 1
    factors: Factors = ()
    added: Any = None
    direction: int = 1
    alone: bool = True


def terms(flow: Flow, result: core.Var, axis: int) -> Iterator[Term]:
    """The sums behind a kernel, from its result on, while nothing else uses the result or a sum.

    Args:
        flow: of the program.
        result: of the equation that multiplies by the kernel.
        axis: of the result that runs over the kernel's outputs.
    """
    term = Term(result, axis)
    outputs = shape_of(result)[axis]
    while True:
        yield term
        uses = flow.uses[term.value]
        if len(uses) != 1 or uses[0] is None:
            return
        _, equation = uses[0]
        name = equation.primitive.name
        term = term._replace(added=None, direction=1)
        if name in ("add", "add_any", "sub", "mul", "div"):
            place = equation.invars.index(term.value)
            other = equation.invars[1 - place]
            if name in ("mul", "div"):
                scales = flow.of_arrays(other) and by_channel(other, term.axis, outputs)
                if not scales or (name == "div" and place == 1):
                    return
                term = term._replace(factors=(*term.factors, (other, name == "div")))
            elif name == "sub":
                turned = -1 if place == 1 else 1
                term = term._replace(sign=term.sign * turned, added=other, direction=-turned)
            else:
                term = term._replace(added=other)
        elif name == "neg":
            term = term._replace(sign=-term.sign)
        elif name == "transpose":
            term = term._replace(axis=equation.params["permutation"].index(term.axis))
        elif name not in ("copy", "copy_p", "name"):
            return
        alone = term.alone and (term.added is None or flow.of_arrays(term.added))
        term = term._replace(value=equation.outvars[0], alone=alone)


def by_channel(atom: Any, axis: int, outputs: int) -> bool:
    """Whether an operand is one number, or one for each output along an axis."""
    shape = shape_of(atom)
    return prod(shape) == 1 or (prod(shape) == outputs and shape[axis] == outputs)


class TracedSum(NamedTuple):
    """The last of the sums behind a kernel, and whether all negative values of that sum are alike."""

    term: Term
    rectified: bool

    def of(self, values: Mapping[Any, jax.Array]) -> jax.Array:
        """``[..., outputs]``, from the values of all variables."""
        return jnp.moveaxis(values[self.term.value], self.term.axis, -1)


def last_sum(flow: Flow, result: core.Var, axis: int, link: Link) -> TracedSum:
    """The last of the sums that the link makes in the shape of the result; arguments as for :func:`terms`."""
    made = {variable for _, equation in link.equations for variable in equation.outvars}
    last = Term(result, axis)
    for term in terms(flow, result, axis):
        maker = flow.makers[term.value][1]
        if term.value not in made or (term.value is not result and maker.primitive.name == "transpose"):
            break
        last = term
    uses = flow.uses[last.value]
    rectified = len(uses) == 1 and uses[0] is not None and _is_relu(uses[0][1])
    return TracedSum(last, rectified)


def _is_relu(equation: core.JaxprEqn) -> bool:
    zeros = [bool(np.all(atom.val == 0)) for atom in equation.invars if isinstance(atom, core.Literal)]
    return equation.primitive.name == "max" and zeros == [True]
