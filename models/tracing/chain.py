"""Cuts a program into a chain of links, wherever a single value is all that the rest of the program needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from jax.extend import core

from models.tracing.groups import CONTRACTIONS, layer_of
from models.tracing.trace import Trace

Numbered = tuple[tuple[int, core.JaxprEqn], ...]
"""Equations with their numbers in the program."""


@dataclass(frozen=True, eq=False, repr=False)
class Link:
    """A part of a program with one value as input and one as output.

    Attributes:
        name: of the first layer in the link.
        weights: the equations that the link needs and that depend on arrays alone.
        equations: the equations that depend on the image.
        enters: the carry in front; the image in the first link.
        leaves: the carry behind; the logits in the last link.
        paths: the arrays that the link needs.
        inputs: the variables that ``equations`` need and that depend on arrays alone.
    """

    name: str
    weights: Numbered
    equations: Numbered
    enters: core.Var
    leaves: core.Var
    paths: tuple[str, ...]
    inputs: tuple[core.Var, ...]


def links(trace: Trace) -> list[Link]:
    """Cut in front of each layer whose input is the only earlier value that the rest of the program needs.

    Plain chains are cut in front of every layer, residual networks in front of every block. Layers that share an
    array stay in one link.
    """
    jaxpr = trace.program.jaxpr
    paths = dict(zip(jaxpr.invars, trace.variables, strict=False))
    weights = weights_of(jaxpr, paths)
    data = [(number, equation) for number, equation in enumerate(jaxpr.eqns) if not _made(equation, weights)]
    needs = [_needs(equation, weights) for _, equation in data]
    uses = [{paths[variable] for variable in found if variable in paths} for found in needs]
    cuts = [0, *_cuts(data, uses, trace), len(data)]
    found: list[Link] = []
    enters = trace.image
    for start, end in pairwise(cuts):
        leaves = jaxpr.outvars[0] if end == len(data) else _live(data, end, trace)[0]
        assert isinstance(leaves, core.Var)
        needed: set[Any] = set().union(*needs[start:end])
        before = tuple(
            (number, equation)
            for number, equation in enumerate(jaxpr.eqns)
            if any(result in needed for result in equation.outvars)
        )
        used = set().union(*uses[start:end])
        name = next((layer_of(path) for path in _in_order(data[start:end], weights, paths)), f"part{len(found)}")
        link = Link(
            name,
            before,
            tuple(data[start:end]),
            enters,
            leaves,
            tuple(path for path in trace.variables if path in used),
            tuple(
                dict.fromkeys(
                    atom
                    for _, equation in data[start:end]
                    for atom in equation.invars
                    if not isinstance(atom, core.Literal) and atom in weights
                )
            ),
        )
        found.append(link)
        enters = leaves
    return found


def weights_of(jaxpr: core.Jaxpr, paths: Mapping[Any, str]) -> dict[Any, core.JaxprEqn | None]:
    """Variables that depend on arrays alone, each with the equation that makes it."""
    made: dict[Any, core.JaxprEqn | None] = dict.fromkeys([*jaxpr.constvars, *paths])
    for equation in jaxpr.eqns:
        if all(isinstance(atom, core.Literal) or atom in made for atom in equation.invars):
            made |= dict.fromkeys(equation.outvars, equation)
    return made


def _made(equation: core.JaxprEqn, weights: Mapping[Any, Any]) -> bool:
    return all(result in weights for result in equation.outvars)


def _needs(equation: core.JaxprEqn, weights: Mapping[Any, core.JaxprEqn | None]) -> dict[Any, None]:
    """All variables that depend on arrays alone and that an equation needs, directly or not, in order."""
    found: dict[Any, None] = {}
    pending = [atom for atom in reversed(equation.invars) if not isinstance(atom, core.Literal)]
    while pending:
        variable = pending.pop()
        if variable not in weights or variable in found:
            continue
        found[variable] = None
        maker = weights[variable]
        if maker is not None:
            pending += [atom for atom in maker.invars if not isinstance(atom, core.Literal)]
    return found


def _in_order(data: Iterable[tuple[int, core.JaxprEqn]], weights: Any, paths: Mapping[Any, str]) -> Iterable[str]:
    for _, equation in data:
        if equation.primitive.name in CONTRACTIONS:
            yield from (paths[variable] for variable in _needs(equation, weights) if variable in paths)


def _live(data: list[tuple[int, core.JaxprEqn]], start: int, trace: Trace) -> list[Any]:
    """Values made before equation ``start`` that later equations or the caller need."""
    before = {trace.image, *(result for _, equation in data[:start] for result in equation.outvars)}
    later = [atom for _, equation in data[start:] for atom in equation.invars]
    later += trace.program.jaxpr.outvars
    return list(dict.fromkeys(a for a in later if not isinstance(a, core.Literal) and a in before))


def _cuts(data: list[tuple[int, core.JaxprEqn]], uses: list[set[str]], trace: Trace) -> list[int]:
    found: list[int] = []
    layers = [number for number, (_, equation) in enumerate(data) if equation.primitive.name in CONTRACTIONS]
    for number in layers[1:]:
        shared = set().union(*uses[:number]) & set().union(*uses[number:])
        if len(_live(data, number, trace)) == 1 and not shared and uses[number]:
            found.append(number)
    return found
