"""Walks through a program and applies the rule of each equation, which ties labels of channels."""

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

from flax import nnx
from jax.extend import core

from models.tracing.context import CUT, Context, Rule, unknown
from models.tracing.labels import Dimensions, shape_of, whole
from models.tracing.rules import contraction, elementwise, reduction, shape
from models.tracing.rules.shuffle import shuffles
from models.tracing.trace import Trace

RULES: dict[str, Rule] = {
    **dict.fromkeys(elementwise.PRIMITIVES, elementwise.elementwise),
    **dict.fromkeys(reduction.REDUCTIONS, reduction.reduction),
    **dict.fromkeys(reduction.WINDOWS, reduction.window),
    **dict.fromkeys(("slice", "split", "pad", "rev"), shape.cutting),
    "broadcast_in_dim": shape.broadcast,
    "concatenate": shape.concatenate,
    "conv_general_dilated": contraction.convolution,
    "dot_general": contraction.dot,
    "gather": shape.gather,
    "reshape": shape.reshape,
    "squeeze": shape.squeeze,
    "transpose": shape.transpose,
}
"""Primitive -> its rule; every other primitive has the rule :func:`models.tracing.context.unknown`."""

OUTPUT = "output"
"""The reason why the logits keep their channels."""


class Walked(NamedTuple):
    """The result of a walk.

    Attributes:
        context: ties, reads and makers.
        arrays: labels of the axes of each parameter and batch statistic, by path.
        carried: labels of the axes of each variable of the program.
    """

    context: Context
    arrays: Mapping[str, Dimensions]
    carried: Mapping[core.Var, Dimensions]


def walk(trace: Trace, *, ties_parts: bool = True) -> Walked:
    """Follow labels from the arrays and the image to the logits.

    Args:
        trace: the program.
        ties_parts: whether channels that are shuffled or split are tied part by part; kept otherwise.
    """
    jaxpr = trace.program.jaxpr
    context = Context(named=_named_slices(jaxpr), shuffles=shuffles(jaxpr), ties_parts=ties_parts)
    carried: dict[Any, Dimensions] = {}
    arrays: dict[str, Dimensions] = {}
    for variable in jaxpr.constvars:
        carried[variable] = whole(shape_of(variable))
        context.origins[variable] = None
    for variable, (path, held) in zip(jaxpr.invars, trace.variables.items(), strict=False):
        carried[variable] = whole(shape_of(variable))
        if isinstance(held, nnx.Param | nnx.BatchStat):
            carried[variable] = arrays[path] = tuple(
                None if extent == 1 else context.ties.fresh(extent) for extent in shape_of(variable)
            )
        context.origins[variable] = path
    carried[trace.image] = whole(shape_of(trace.image))
    for number, equation in enumerate(jaxpr.eqns):
        context.number = number
        operands = [
            whole(shape_of(atom)) if isinstance(atom, core.Literal) else carried[atom] for atom in equation.invars
        ]
        results = RULES.get(equation.primitive.name, unknown)(equation, operands, context)
        carried.update(zip(equation.outvars, results, strict=True))
        _inherit(equation, context)
        if all(result in context.origins for result in equation.outvars):
            # Weights are computed once for all masks, so they cannot sum over removed channels.
            for read in context.reads.pop(number, ()):
                context.keep(read.labels, f"{equation.primitive.name} of weights")
    for atom in jaxpr.outvars:
        if not isinstance(atom, core.Literal):
            context.keep_all(carried[atom], OUTPUT)
    return Walked(context, arrays, carried)


def _named_slices(jaxpr: core.Jaxpr) -> frozenset[int]:
    made = {equation.outvars[0]: number for number, equation in enumerate(jaxpr.eqns) if equation.outvars}
    return frozenset(
        made[equation.invars[0]]
        for equation in jaxpr.eqns
        if equation.primitive.name == "name" and equation.params["name"].startswith(CUT)
        if equation.invars[0] in made
    )


def _inherit(equation: core.JaxprEqn, context: Context) -> None:
    """Results that depend on arrays alone come from the first operand of the same size."""
    variables = [atom for atom in equation.invars if not isinstance(atom, core.Literal)]
    if any(variable not in context.origins for variable in variables):
        return
    for result in equation.outvars:
        same = [
            context.origins[variable]
            for variable in variables
            if context.origins[variable] is not None and prod(shape_of(variable)) == prod(shape_of(result))
        ]
        context.origins[result] = same[0] if same else None
