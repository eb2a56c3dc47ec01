"""Finds channel shuffles in a program (Zhang et al. 2018, arXiv:1707.01083).

A shuffle cuts an axis into parts of equal extent and takes the first index of each part, then the second, and so
on, by a reshape, a transpose and a reshape. If each part loses the same indices, the same code makes the same
order of those that are left.
"""

from collections import defaultdict
from typing import Any

from jax.extend import core

from models.tracing.labels import shape_of


def shuffles(jaxpr: core.Jaxpr) -> dict[int, int]:
    """Number of the first reshape of each shuffle -> the axis of its result that counts the parts."""
    uses: dict[Any, list[core.JaxprEqn]] = defaultdict(list)
    for equation in jaxpr.eqns:
        for atom in equation.invars:
            if not isinstance(atom, core.Literal):
                uses[atom].append(equation)
    results = set(jaxpr.outvars)

    def reader(equation: core.JaxprEqn) -> core.JaxprEqn | None:
        """The only reader of a result, behind names."""
        value = equation.outvars[0]
        while len(uses[value]) == 1 and value not in results:
            [found] = uses[value]
            if found.primitive.name != "name":
                return found
            value = found.outvars[0]
        return None

    found: dict[int, int] = {}
    for number, first in enumerate(jaxpr.eqns):
        middle = reader(first) if first.primitive.name == "reshape" else None
        last = reader(middle) if middle is not None and middle.primitive.name == "transpose" else None
        if middle is None or last is None or last.primitive.name != "reshape":
            continue
        before, after, end = shape_of(first.invars[0]), shape_of(first.outvars[0]), shape_of(last.outvars[0])
        permutation = middle.params["permutation"]
        moved = [axis for axis, place in enumerate(permutation) if axis != place]
        if before == end and len(moved) == 2 and moved[1] == moved[0] + 1:
            axis = moved[0]
            if after == (*before[:axis], *after[axis : axis + 2], *before[axis + 1 :]):
                found[number] = axis
    return found
