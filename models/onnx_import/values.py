"""The values of a graph: small static ones as they are, and the shapes of all others."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.onnx.graph import Graph
from models.onnx.module import GraphModule
from models.onnx.value import Laid, Value


def values_of(graph: Graph, input_shape: tuple[int, int, int]) -> dict[str, Value | jax.ShapeDtypeStruct]:
    """All values by name, for one image; ``input_shape`` is its height, width and channels.

    Raises:
        DependencyError: the graph cannot be run.
    """
    values: dict[str, Any] = {}

    def run(images: jax.Array) -> None:
        arrays = {array.path: jnp.zeros(array.shape) for array in graph.arrays.values()}
        for name, value in GraphModule(graph, arrays).values(images).items():
            shape = jax.ShapeDtypeStruct(value.shape, np.float32)
            values[name] = shape if isinstance(value, Laid) else value

    nnx.eval_shape(run, jax.ShapeDtypeStruct((1, *input_shape), np.float32))
    return values
