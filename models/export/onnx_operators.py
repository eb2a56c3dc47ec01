"""JAX's primitives in ONNX. Each function writes nodes for one equation of a jaxpr and returns its result."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from models.errors import ExportError
from models.export.onnx_graph import Graph, Operand, Value

Writer = Callable[..., Operand | list[Operand]]
"""From a graph, an equation and its operands to its result, or to its results where it may have several."""


def _elementwise(operator: str, compute: Any, graph: Graph, equation: Any, *operands: Operand) -> Operand:
    values = [operand for operand in operands if isinstance(operand, Value)]
    if not values:
        return np.asarray(compute(*operands), np.float32)
    order = values[0].order
    if operator == "Max" and _is_zero(operands[1]):
        return graph.node("Relu", [values[0].name], order)
    names = [
        # A scalar broadcasts in ONNX as it is.
        graph.reordered(o, order) if isinstance(o, Value) or o.ndim else graph.constant(o.astype(np.float32))
        for o in operands
    ]
    return graph.node(operator, names, order)


def _is_zero(operand: Operand) -> bool:
    return isinstance(operand, np.ndarray) and operand.size == 1 and not operand.any()


def _convolution(graph: Graph, equation: Any, inputs: Operand, kernel: Operand) -> Value:
    given = equation.params
    numbers = given["dimension_numbers"]
    if not isinstance(kernel, np.ndarray) or given["batch_group_count"] != 1 or set(given["lhs_dilation"]) != {1}:
        raise _unsaid("a convolution that is transposed or whose kernel is computed")
    name = graph.reordered(inputs, tuple(numbers.lhs_spec))
    weights = graph.constant(kernel.transpose(numbers.rhs_spec))
    before, after = zip(*given["padding"], strict=True)
    return graph.node(
        "Conv",
        [name, weights],
        tuple(numbers.out_spec),
        kernel_shape=[kernel.shape[axis] for axis in numbers.rhs_spec[2:]],
        strides=list(given["window_strides"]),
        pads=[*before, *after],
        dilations=list(given["rhs_dilation"]),
        group=given["feature_group_count"],
    )


def _pool(operator: str, graph: Graph, equation: Any, inputs: Value) -> Operand:
    given = equation.params
    rank = len(given["window_dimensions"])
    # The axes without a window, images and channels, come first.
    order = inputs.order
    alone = [axis for axis in order if given["window_dimensions"][axis] == 1][:2]
    order = (*alone, *(axis for axis in order if axis not in alone))
    dilations = [*given["base_dilation"], *given["window_dilation"]]
    if (
        rank < 3
        or len(alone) < 2
        or set(dilations) != {1}
        or any(given["padding"][axis] != (0, 0) for axis in alone)
    ):
        raise _unsaid("a pool over channels, or with dilation")
    window = [given["window_dimensions"][axis] for axis in order[2:]]
    padding = [given["padding"][axis] for axis in order[2:]]
    options: dict[str, Any] = {"count_include_pad": 1} if operator == "AveragePool" else {}
    pooled = graph.node(
        operator,
        [graph.reordered(inputs, order)],
        order,
        kernel_shape=window,
        strides=[given["window_strides"][axis] for axis in order[2:]],
        pads=[pad[0] for pad in padding] + [pad[1] for pad in padding],
        **options,
    )
    if operator == "MaxPool":
        return pooled
    # JAX sums and leaves the division to its caller.
    return graph.node("Mul", [pooled.name, graph.constant(np.array(np.prod(window), np.float32))], order)


def _product(graph: Graph, equation: Any, left: Operand, right: Operand) -> Value:
    (left_axes, right_axes), batch = equation.params["dimension_numbers"]
    ranks = [len(atom.aval.shape) for atom in equation.invars]
    if batch != ((), ()) or len(left_axes) != 1 or ranks[1] != 2:
        raise _unsaid("a product other than with one matrix")
    # The axis that is summed over comes last on the left and first on the right.
    last = tuple(axis for axis in range(ranks[0]) if axis not in left_axes) + tuple(left_axes)
    first = (*right_axes, 1 - right_axes[0])
    names = []
    for operand, atom, order in zip((left, right), equation.invars, (last, first), strict=True):
        shape = tuple(atom.aval.shape[axis] for axis in order)
        names.append(graph.plain(_transposed(operand, order), shape))
    return graph.node("Gemm" if ranks[0] == 2 else "MatMul", names, tuple(range(ranks[0])))


def _reshape(graph: Graph, equation: Any, operand: Value) -> Value:
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    shape = [size if isinstance(size, int) else -1 for size in after]
    if shape.count(-1) > 1:
        raise _unsaid("a reshape with more than one free size")
    name = graph.plain(operand, before)
    return graph.node("Reshape", [name, graph.constant(np.array(shape, np.int64))], tuple(range(len(shape))))


def _broadcast(graph: Graph, equation: Any, operand: Operand) -> Operand:
    shape, places = equation.params["shape"], equation.params["broadcast_dimensions"]
    if isinstance(operand, np.ndarray):
        sizes = [1] * len(shape)
        for place, size in zip(places, operand.shape, strict=True):
            sizes[place] = size
        return operand.reshape(sizes)
    # Axes of size 1; the reader of the result broadcasts it.
    before = equation.invars[0].aval.shape
    kept = [before[places.index(axis)] if axis in places else 1 for axis in range(len(shape))]
    sizes = [size if isinstance(size, int) else -1 for size in kept]
    name = graph.plain(operand, before)
    return graph.node("Reshape", [name, graph.constant(np.array(sizes, np.int64))], tuple(range(len(sizes))))


def _transpose(graph: Graph, equation: Any, operand: Operand) -> Operand:
    return _transposed(operand, equation.params["permutation"])


def _transposed(operand: Operand, permutation: Sequence[int]) -> Operand:
    if isinstance(operand, np.ndarray):
        return operand.transpose(permutation) if operand.ndim else operand
    return Value(operand.name, tuple(tuple(permutation).index(axis) for axis in operand.order))


def _reduce(operator: str, graph: Graph, equation: Any, operand: Value) -> Value:
    axes = equation.params["axes"]
    places = [operand.order.index(axis) for axis in axes]
    kept = [axis for axis in operand.order if axis not in axes]
    order = tuple(sorted(kept).index(axis) for axis in kept)
    if operator == "ReduceSum":
        names = [operand.name, graph.constant(np.array(places, np.int64))]
        return graph.node(operator, names, order, keepdims=0)
    return graph.node(operator, [operand.name], order, axes=places, keepdims=0)


def _concatenate(graph: Graph, equation: Any, *operands: Operand) -> Value:
    order = next(operand.order for operand in operands if isinstance(operand, Value))
    names = []
    for operand, atom in zip(operands, equation.invars, strict=True):
        if isinstance(operand, np.ndarray) and operand.shape != atom.aval.shape:
            raise _unsaid("the concatenation with a constant for each image")
        names.append(graph.reordered(operand, order))
    return graph.node("Concat", names, order, axis=order.index(equation.params["dimension"]))


def _split(graph: Graph, equation: Any, operand: Value) -> list[Operand]:
    axis = np.array([operand.order.index(equation.params["axis"])], np.int64)
    bounds = np.cumsum([0, *equation.params["sizes"]])
    results: list[Operand] = []
    for start, end in pairwise(bounds):
        names = [graph.constant(np.array([bound], np.int64)) for bound in (start, end)]
        results.append(graph.node("Slice", [operand.name, *names, graph.constant(axis)], operand.order))
    return results


def _same(graph: Graph, equation: Any, operand: Operand) -> Operand:
    if equation.outvars[0].aval.dtype != np.float32:
        raise _unsaid(f"numbers of type {equation.outvars[0].aval.dtype}")
    return operand


def _unsaid(what: str) -> ExportError:
    return ExportError(f"`format` onnx cannot say {what}; export the network with `format` stablehlo.")


BROADCASTING: dict[str, Writer] = {
    "add": partial(_elementwise, "Add", np.add),
    "add_any": partial(_elementwise, "Add", np.add),
    "sub": partial(_elementwise, "Sub", np.subtract),
    "mul": partial(_elementwise, "Mul", np.multiply),
    "div": partial(_elementwise, "Div", np.divide),
    "max": partial(_elementwise, "Max", np.maximum),
    "min": partial(_elementwise, "Min", np.minimum),
    "neg": partial(_elementwise, "Neg", np.negative),
    "exp": partial(_elementwise, "Exp", np.exp),
    "tanh": partial(_elementwise, "Tanh", np.tanh),
    "logistic": partial(_elementwise, "Sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    "sqrt": partial(_elementwise, "Sqrt", np.sqrt),
    "broadcast_in_dim": _broadcast,
}
"""Writers that take constants of size 1 along the axes that JAX broadcasts."""

OPERATORS: dict[str, Writer] = {
    **BROADCASTING,
    "conv_general_dilated": _convolution,
    "reduce_window_max": partial(_pool, "MaxPool"),
    "reduce_window_sum": partial(_pool, "AveragePool"),
    "dot_general": _product,
    "reshape": _reshape,
    "squeeze": _reshape,
    "transpose": _transpose,
    "reduce_sum": partial(_reduce, "ReduceSum"),
    "reduce_max": partial(_reduce, "ReduceMax"),
    "concatenate": _concatenate,
    "split": _split,
    "convert_element_type": _same,
    "copy": _same,
    "stop_gradient": _same,
}
"""Primitive -> its writer."""
