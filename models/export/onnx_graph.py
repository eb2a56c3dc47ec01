"""The nodes of an ONNX graph while it is written, and the order of the axes of each value.

A value keeps the order of axes of the ONNX node that makes it (images behind a ``Conv`` are NCHW in ONNX and
NHWC in JAX). It is transposed only where a reader needs another order.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


@dataclass(frozen=True)
class Value:
    """A value in the graph: axis ``i`` in ONNX is axis ``order[i]`` in JAX."""

    name: str
    order: tuple[int, ...]


Operand = Value | np.ndarray
"""Constants keep size 1 along axes that JAX broadcasts them over."""


class Graph:
    """Nodes and initialisers as they are written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []

    def node(self, operator: str, inputs: list[str], order: tuple[int, ...], **attributes: Any) -> Value:
        """Append a node of one output."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return Value(name, order)

    def constant(self, array: np.ndarray) -> str:
        """Append an initialiser; its name."""
        name = f"weights_{len(self.initialisers)}"
        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def reordered(self, operand: Operand, order: tuple[int, ...]) -> str:
        """The name of an operand whose axes come in ``order``."""
        if isinstance(operand, np.ndarray):
            return self.constant(operand.transpose(order))
        if operand.order == order:
            return operand.name
        permutation = [operand.order.index(axis) for axis in order]
        return self.node("Transpose", [operand.name], order, perm=permutation).name

    def plain(self, operand: Operand, shape: tuple[Any, ...]) -> str:
        """The name of an operand in JAX's order, of the full ``shape``."""
        if isinstance(operand, np.ndarray):
            operand = np.broadcast_to(operand, shape)
        return self.reordered(operand, tuple(range(len(shape))))

    def fuse_biases(self) -> None:
        """Turn an ``Add`` of one number a channel into the bias of the ``Conv`` or ``Gemm`` in front of it."""
        reads = Counter(name for node in self.nodes for name in node.input)
        makers = {node.output[0]: node for node in self.nodes}
        constants = {array.name: array for array in self.initialisers}
        kept = []
        for node in self.nodes:
            maker = makers.get(node.input[0]) if node.op_type == "Add" else None
            bias = constants.get(node.input[1]) if maker is not None else None
            takes_bias = maker is not None and maker.op_type in ("Conv", "Gemm") and len(maker.input) == 2
            if maker is None or bias is None or not takes_bias or reads[node.input[0]] > 1:
                kept.append(node)
                continue
            weights = constants.get(maker.input[1])
            channels = weights.dims[0 if maker.op_type == "Conv" else 1] if weights is not None else None
            # Channels are the second axis of the output of both.
            if channels is None or list(bias.dims) != [1, channels, 1, 1][: max(2, len(bias.dims))]:
                kept.append(node)
                continue
            del bias.dims[:]
            bias.dims.append(channels)
            maker.input.append(bias.name)
            maker.output[0] = node.output[0]
        self.nodes = kept
