"""Who makes and who uses each variable of a program, and the arrays that weights come from unchanged."""

from collections import defaultdict
from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

from jax.extend import core

from models.tracing.chain import weights_of
from models.tracing.labels import shape_of
from models.tracing.trace import Trace

MOVES = ("copy", "copy_p", "name", "reshape", "rev", "squeeze", "transpose")
"""Primitives that move the elements of an array and change none."""

Numbered = tuple[int, core.JaxprEqn]
"""An equation with its number in the program."""


class Stored(NamedTuple):
    """A variable with the elements of an array, perhaps in another order.

    Attributes:
        path: of the array.
        array: the variable of the program that is the array.
        moves: the equations from the array to the variable.
    """

    path: str
    array: core.Var
    moves: tuple[Numbered, ...]


class Flow:
    """The equations of a program that its result needs, by the variables that they make and use.

    Attributes:
        paths: variable -> path of the array that it is.
        weights: the variables that depend on arrays alone.
        makers: variable -> the equation that makes it.
        uses: variable -> the equations that use it, once for each operand; None for the result of the program.
    """

    def __init__(self, trace: Trace):
        jaxpr = trace.program.jaxpr
        self.paths: dict[Any, str] = dict(zip(jaxpr.invars, trace.variables, strict=False))
        self.weights = weights_of(jaxpr, self.paths)
        self.makers: dict[Any, Numbered] = {
            result: (number, equation)
            for number, equation in enumerate(jaxpr.eqns)
            for result in equation.outvars
        }
        self.uses: dict[Any, list[Numbered | None]] = defaultdict(list)
        for atom in jaxpr.outvars:
            if not isinstance(atom, core.Literal):
                self.uses[atom].append(None)
        for number, equation in reversed(list(enumerate(jaxpr.eqns))):
            if any(result in self.uses for result in equation.outvars):
                for atom in equation.invars:
                    if not isinstance(atom, core.Literal):
                        self.uses[atom].append((number, equation))

    def of_arrays(self, atom: Any) -> bool:
        """Whether an operand depends on arrays alone."""
        return isinstance(atom, core.Literal) or atom in self.weights

    def arrays_behind(self, atom: Any) -> Iterator[str]:
        """The paths of the arrays that an operand is computed from; one that has several uses may come again."""
        pending = [atom]
        while pending:
            atom = pending.pop()
            if isinstance(atom, core.Literal):
                continue
            if atom in self.paths:
                yield self.paths[atom]
            elif atom in self.makers:
                pending += self.makers[atom][1].invars

    def stored(self, atom: Any) -> Stored | str:
        """The array whose elements a variable holds and that nothing else uses; or the reason why none is."""
        moves: list[Numbered] = []
        while True:
            if isinstance(atom, core.Literal) or (atom not in self.paths and atom not in self.makers):
                return "its kernel is a constant"
            if len(self.uses[atom]) != 1:
                return "its kernel has several uses"
            if atom in self.paths:
                return Stored(self.paths[atom], atom, tuple(moves))
            number, equation = self.makers[atom]
            if not is_move(equation):
                return "its kernel is computed and not stored"
            moves.insert(0, (number, equation))
            atom = equation.invars[0]


def is_move(equation: core.JaxprEqn) -> bool:
    """Whether an equation moves the elements of an array and changes none."""
    if len(equation.outvars) != 1 or not equation.invars:
        return False
    before: Any = equation.invars[0].aval
    after: Any = equation.outvars[0].aval
    name = equation.primitive.name
    if name in ("broadcast_in_dim", "convert_element_type"):
        return len(equation.invars) == 1 and before.dtype == after.dtype and _same_size(equation)
    return name in MOVES


def _same_size(equation: core.JaxprEqn) -> bool:
    return prod(shape_of(equation.invars[0])) == prod(shape_of(equation.outvars[0]))
