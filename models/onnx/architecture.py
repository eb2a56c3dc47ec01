"""The architecture of a network that came as ONNX: its graph, and its widths."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.axes import extent
from models.errors import ArchitectureError
from models.fields import JSONArchitecture
from models.onnx.graph import Graph
from models.onnx.module import GraphModule
from models.tracing.analysis import Dependencies, analyse
from models.tracing.network import TracedNetwork


@dataclass(frozen=True)
class ONNXArchitecture(JSONArchitecture):
    """A graph for images of one shape; ``widths`` are those that differ from the graph's own.

    The smaller network runs the program of the whole graph with smaller arrays, so nothing in the graph has to
    fit other widths.
    """

    family: ClassVar[str] = "onnx"

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    graph: Graph
    widths: tuple[tuple[str, int], ...] = ()

    def with_widths(self, widths: Mapping[str, int]) -> "ONNXArchitecture":
        """The same network with other numbers of filters for the groups named."""
        return replace(self, widths=tuple(sorted({**dict(self.widths), **widths}.items())))

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which :meth:`from_json` builds an equal architecture."""
        return {**super().to_json(), "widths": dict(self.widths)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "ONNXArchitecture":
        """Inverse of :meth:`to_json`.

        Raises:
            ArchitectureError: a field is missing or of the wrong type, or the graph cannot be run.
        """
        widths = entry.get("widths")
        if not isinstance(widths, dict):
            raise ArchitectureError(f"'widths' of an architecture must name groups, not {widths!r}.")
        return super().from_json({**entry, "widths": sorted(widths.items())})

    def build(self, seed: int = 0) -> TracedNetwork:
        """A network with random weights."""
        network = self.blank()
        rng = np.random.default_rng(seed)
        for _, variable in nnx.to_flat_state(nnx.state(network.module)):
            shape = variable.get_value().shape
            variable.set_value(jnp.asarray(rng.uniform(0.01, 0.1, shape), jnp.float32))
        return network

    def blank(self) -> TracedNetwork:
        """A network whose arrays are shapes only, to count or to fill."""
        whole = dependencies_of(self.graph, self.input_shape)
        for name, width in self.widths:
            if not 1 <= width <= whole.sizes.get(name, 0):
                raise ArchitectureError(f"{self.name} has no layer {name!r} of {width} filters or more.")
        cut = whole.with_widths(dict(self.widths))
        shapes = {
            path: jax.ShapeDtypeStruct([extent(axis, cut.sizes) for axis in spec.axes], jnp.float32)
            for path, spec in cut.specs.items()
        }
        return nnx.eval_shape(lambda: TracedNetwork(self, _module(self.graph, shapes), cut))


def _module(graph: Graph, shapes: Mapping[str, jax.ShapeDtypeStruct]) -> GraphModule:
    return GraphModule(graph, {path: jnp.zeros(shape.shape) for path, shape in shapes.items()})


@lru_cache(maxsize=8)
def dependencies_of(graph: Graph, input_shape: tuple[int, int, int]) -> Dependencies:
    """The dependencies of a whole graph.

    Raises:
        DependencyError: the graph cannot be run with images of this shape.
    """
    shapes = {array.path: jax.ShapeDtypeStruct(array.shape, jnp.float32) for array in graph.arrays.values()}
    return analyse(nnx.eval_shape(lambda: _module(graph, shapes)), input_shape)
