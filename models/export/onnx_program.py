"""From a traced JAX program (jaxpr) to an ONNX model; values that depend on weights alone become constants."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import onnx
from jax.extend import core
from onnx import helper

from models.errors import ExportError
from models.export.onnx_graph import Graph, Operand, Value
from models.export.onnx_operators import BROADCASTING, OPERATORS

OPSET = 17
IR_VERSION = 8
"""Of 2022, which runtimes on devices read."""
_INLINED = {
    "jit",
    "pjit",
    "closed_call",
    "core_call",
    "custom_jvp_call",
    "custom_vjp_call",
    "remat",
    "checkpoint",
}


def write(program: Any, input_name: str, output_name: str, properties: Mapping[str, str]) -> bytes:
    """A serialised model of one input and one output.

    Args:
        program: a closed jaxpr; its first axis is the batch, free, and everything is ``float32``.
        input_name: of the images.
        output_name: of the logits.
        properties: strings kept with the model.

    Raises:
        ExportError: the program has an operation without a writer.
    """
    graph = Graph()
    [images], [logits] = program.jaxpr.invars, program.jaxpr.outvars
    start = Value(input_name, tuple(range(len(images.aval.shape))))
    [result] = _run(graph, program.jaxpr, program.consts, [start])
    graph.fuse_biases()
    graph.nodes.append(helper.make_node("Identity", [graph.plain(result, logits.aval.shape)], [output_name]))

    def port(name: str, variable: Any) -> onnx.ValueInfoProto:
        shape = [size if isinstance(size, int) else "batch" for size in variable.aval.shape]
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    ports = [port(input_name, images)], [port(output_name, logits)]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "evoprune", *ports, graph.initialisers),
        producer_name="evoprune",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _run(graph: Graph, program: Any, constants: list[Any], arguments: list[Operand]) -> list[Operand]:
    """Write the equations of a jaxpr; returns its results."""
    known: dict[Any, Operand] = dict(zip(program.invars, arguments, strict=True))
    known |= {variable: np.asarray(c) for variable, c in zip(program.constvars, constants, strict=True)}

    def read(atom: Any) -> Operand:
        return np.asarray(atom.val) if isinstance(atom, core.Literal) else known[atom]

    for equation in program.eqns:
        operands = [read(atom) for atom in equation.invars]
        name = equation.primitive.name
        constant = all(isinstance(operand, np.ndarray) for operand in operands)
        if name in _INLINED:
            inner = equation.params.get("jaxpr") or equation.params["call_jaxpr"]
            results = _run(graph, inner.jaxpr, inner.consts, operands)
        elif constant and name not in BROADCASTING:
            results = _computed(equation, operands)
        elif name in OPERATORS:
            written = OPERATORS[name](graph, equation, *operands)
            results = written if isinstance(written, list) else [written]
        else:
            raise ExportError(
                f"`format` onnx cannot say JAX's operation {name!r}; export with `format` stablehlo."
            )
        known |= zip(equation.outvars, results, strict=True)
    return [read(atom) for atom in program.outvars]


def _computed(equation: Any, operands: list[Any]) -> list[Operand]:
    whole = [
        jax.numpy.broadcast_to(operand, atom.aval.shape)
        for operand, atom in zip(operands, equation.invars, strict=True)
    ]
    found = equation.primitive.bind(*whole, **equation.params)
    return [np.asarray(array) for array in (found if equation.primitive.multiple_results else [found])]
