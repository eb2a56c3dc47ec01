"""Structures of stages: what a program is compiled for."""

from typing import Any
from weakref import WeakValueDictionary

import jax
from flax import nnx

from models.axes import groups_of
from models.contract import Stage


class Structure:
    """All of a stage but the values of its arrays; see :func:`structure_of`.

    Equal structures are one object, so programs find them by identity.

    Attributes:
        stage: the stage with shapes in place of arrays. A program that read an array from here, rather than from
            its arguments, would fail.
        axes: of the arrays, each once, where they run over channels of a group.
    """

    def __init__(self, graph: Any, state: Any):
        shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), state)
        self.stage: Stage = nnx.merge(graph, shapes)
        found = [axis for spec in self.stage.specs().values() for axis in spec.axes]
        found += [reader.outputs for reader in self.stage.readers()]
        self.axes = tuple(dict.fromkeys(axis for axis in found if any(groups_of(axis))))


_STRUCTURES: WeakValueDictionary[tuple[Any, str], Structure] = WeakValueDictionary()


def structure_of(stage: Stage) -> Structure:
    """The structure of a stage: one object for all stages that differ in nothing but the values of their arrays.

    Two structures are the same if their Flax graphs are: the class of every module in the stage, and every
    attribute that is no array (names, window, activation, pool, epsilon, dropout, ...). The graph of a traced
    stage holds its traced program, which equals itself alone, so two traces of a user's module share nothing.
    """
    graph, state = nnx.split(stage)
    # Python holds 1, 1.0 and True for equal, which a program need not do; their texts differ.
    key = graph, repr(graph.attributes)
    found = _STRUCTURES.get(key)
    if found is None:
        found = _STRUCTURES[key] = Structure(graph, state)
    return found
