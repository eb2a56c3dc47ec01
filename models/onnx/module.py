"""A graph as a Flax NNX module, whose program :mod:`models.tracing` analyses and cuts into stages."""

from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from models.errors import DependencyError
from models.onnx.graph import Graph
from models.onnx.operators.contract import Call
from models.onnx.operators.registry import RUNNABLE
from models.onnx.value import Laid, Value, laid, plain

LARGEST_VALUE = 2**28
"""Numbers of one value for one image; more is a mistake, or meant to fill the memory."""
SHAPED = ("Expand", "Reshape")
"""Operations whose shape an export may have to mend; the analysis finds their results by name."""


class GraphModule(nnx.Module):
    """Maps images ``float32[1, height, width, channels]`` to logits ``[1, classes]``.

    Each array of the graph is an attribute with the array's path as its name.
    """

    def __init__(self, graph: Graph, arrays: dict[str, Any]):
        """``arrays``: path -> array or shape."""
        self.graph__ = nnx.static(graph)
        for array in graph.arrays.values():
            variable = nnx.Param if array.trained else nnx.BatchStat
            setattr(self, array.path, variable(arrays[array.path]))

    def __call__(self, images: jax.Array) -> jax.Array:
        """Run the graph.

        Raises:
            DependencyError: a node cannot be run; the message names the node.
        """
        output = self.graph__.output
        logits = laid(self.values(images)[output])
        if sum(extent > 1 for extent in logits.shape[1:]) > 1:
            raise DependencyError(
                f"the result {output!r} has the shape {logits.shape} for one image, which is not one number for "
                "each class"
            )
        return logits.plain().reshape(logits.shape[0], -1).astype(jnp.float32)

    def values(self, images: jax.Array) -> dict[str, Value]:
        """All values of the graph by name; raises as the call does."""
        graph = self.graph__
        order = (0, 1, 2, 3) if graph.channels_last else (0, 2, 3, 1)
        values: dict[str, Value] = {graph.input: Laid(images, order)}
        values |= {name: constant.array() for name, constant in graph.constants.items()}
        values |= {name: plain(getattr(self, array.path)[...]) for name, array in graph.arrays.items()}
        for node in graph.nodes:
            try:
                operands = [_read(values, name) if name else None for name in node.inputs]
                results = RUNNABLE[node.operator](Call(node, operands, graph.opset, graph.batch))
                results = results if isinstance(results, list) else [results]
                _check_sizes(results)
            # Damaged graphs may raise anything; the user is told which node did.
            except Exception as error:
                raise DependencyError(f"node {node.title} cannot be run: {error}") from error
            if node.operator in SHAPED:
                results = [_named(result, node.outputs[0]) for result in results]
            values.update(zip(node.outputs, results, strict=False))
        return values


def _read(values: dict[str, Value], name: str) -> Value:
    if name not in values:
        raise ValueError(f"its input {name!r} is a result that is not computed here")
    return values[name]


def _check_sizes(results: list[Value]) -> None:
    for result in results:
        if prod(result.shape) > LARGEST_VALUE:
            raise ValueError(f"its result has the shape {result.shape}, which is too large")


def _named(value: Value, name: str) -> Value:
    return Laid(checkpoint_name(value.array, name), value.order) if isinstance(value, Laid) else value
