"""Programs without calls: the body of each called function takes the place of its call."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.extend import core

BODIES = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
}
"""Primitive -> the parameter that holds the called program. Differentiation rules are dropped."""


def inlined(program: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """The same program without calls."""

    def flat(*inputs: Any) -> list[Any]:
        return run(program.jaxpr, program.consts, inputs)

    shapes = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in program.in_avals]
    return jax.make_jaxpr(flat)(*shapes)


def run(jaxpr: core.Jaxpr, consts: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Evaluate a program, stepping into calls."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        if equation.primitive.name in BODIES:
            body = equation.params[BODIES[equation.primitive.name]]
            if isinstance(body, core.ClosedJaxpr):
                results = run(body.jaxpr, body.consts, operands)
            else:
                results = run(body, (), operands)
        else:
            results = bind(equation, operands)
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def bind(equation: core.JaxprEqn, operands: Sequence[Any], changed: Mapping[str, Any] | None = None) -> list[Any]:
    """The results of one equation, which is no call, with some of its parameters changed."""
    results = equation.primitive.bind(*operands, **{**equation.params, **(changed or {})})
    return list(results) if equation.primitive.multiple_results else [results]
