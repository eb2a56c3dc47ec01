"""Leaves out channel shuffles: the weights behind a shuffle take up its order.

A shuffle is a ``Reshape``, a ``Transpose`` and a ``Reshape`` (Zhang et al. 2018, arXiv:1707.01083). With fewer
channels, the order behind a shuffle depends on which channels are left, and no ``Reshape`` makes such an order.
Without the shuffle, channels stay in the order of the layers that make them. Parts of a shuffled value are
gathered. Weights that read channels, such as the inputs of a kernel, change places once, here. The network
computes the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from models.onnx.frame import opened, rewired
from models.onnx.graph import Constant, Graph, Node
from models.onnx.operators.contract import Call
from models.onnx.operators.registry import OPERATORS
from models.onnx.value import plain
from models.onnx_import.orders import RULES, Order, Places, StuckError
from models.onnx_import.reading import Read
from models.onnx_import.values import values_of

SHUFFLE = ("Reshape", "Transpose", "Reshape")
CUTS = ("Gather", "Slice", "Split")


def without_shuffles(read: Read, input_shape: tuple[int, int, int]) -> Read:
    """The same network without the channel shuffles whose order the weights behind them can take up.

    Args:
        read: a file; returned as it is if there is no such shuffle.
        input_shape: height, width and channels of the images.

    Raises:
        DependencyError: the graph cannot be run.
    """
    chains = list(_chains(read.graph))
    if not chains:
        return read
    values = values_of(read.graph, input_shape)
    shuffles: dict[str, tuple[tuple[Node, ...], int, np.ndarray]] = {}
    for nodes in chains:
        found = _permutation(nodes, read.graph, values)
        if found is not None:
            shuffles[nodes[-1].outputs[0]] = (nodes, *found)
    while shuffles:
        rewriting = _Rewriting(read, values, shuffles)
        try:
            return rewriting.result()
        except StuckError as stuck:
            shuffles = {name: entry for name, entry in shuffles.items() if name not in stuck.shuffles}
    return read


def _chains(graph: Graph) -> Iterable[tuple[Node, Node, Node]]:
    """The nodes of each ``Reshape``, ``Transpose``, ``Reshape`` whose inner values nothing else reads."""
    makers = {output: node for node in graph.nodes for output in node.outputs}
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    for last in graph.nodes:
        nodes = [last]
        while len(nodes) < len(SHUFFLE) and uses[nodes[0].inputs[0]] == 1 and nodes[0].inputs[0] in makers:
            nodes.insert(0, makers[nodes[0].inputs[0]])
        if tuple(node.operator for node in nodes) == SHUFFLE and graph.output not in nodes[1].outputs:
            first, middle, last = nodes
            yield first, middle, last


def _permutation(nodes: Iterable[Node], graph: Graph, values: Mapping[str, Any]) -> tuple[int, np.ndarray] | None:
    """The axis that nodes shuffle and the order that they make of its indices; None if they do anything else."""
    nodes = tuple(nodes)
    shape = values[nodes[0].inputs[0]].shape
    if values[nodes[-1].outputs[0]].shape != shape:
        return None
    for axis, extent in enumerate(shape):
        if extent > 1:
            order = _taken(nodes, graph, values, axis)[0]
            if order is not None and not np.array_equal(order, np.arange(extent)):
                return axis, order
    return None


def _taken(nodes: Iterable[Node], graph: Graph, values: Mapping[str, Any], axis: int) -> list[np.ndarray | None]:
    """The indices of an axis that each result of a chain of nodes has, in order.

    None where the nodes change another axis too.
    """
    nodes = list(nodes)
    shape = values[nodes[0].inputs[0]].shape
    rest = [1 if number == axis else extent for number, extent in enumerate(shape)]
    numbers = np.arange(shape[axis]).reshape([-1 if number == axis else 1 for number in range(len(shape))])
    # Each element tells its index along the axis, and where it lies in the other axes.
    whole = np.arange(int(np.prod(rest))).reshape(rest) * shape[axis] + numbers
    results: list[Any] = [plain(whole)]
    for node in nodes:
        operands = [values.get(name) for name in node.inputs]
        made = OPERATORS[node.operator](Call(node, [results[0], *operands[1:]], graph.opset, graph.batch))
        results = made if isinstance(made, list) else [made]
    found: list[np.ndarray | None] = []
    for result in results:
        array = np.asarray(result.plain())
        if array.ndim != len(shape):
            found.append(None)
            continue
        taken = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)[:, 0] % shape[axis]
        same = array.shape == tuple(np.take(whole, taken, axis).shape)
        found.append(taken if same and np.array_equal(array, np.take(whole, taken, axis)) else None)
    return found


class _Rewriting:
    """A graph without some of its shuffles, node by node.

    Attributes:
        orders: name of a value -> its order, where it is not that of the file.
        instead: result of a shuffle -> the value that is read instead.
        gathered: part of a value -> the value, its indices and their axis.
    """

    def __init__(self, read: Read, values: Mapping[str, Any], shuffles: Mapping[str, Any]):
        self.read, self.graph, self.values, self.shuffles = read, read.graph, values, shuffles
        self.model = opened(read.graph.frame)
        uses = Counter(name for node in self.model.graph.node for name in node.input)
        alone = frozenset(name for name in self.graph.arrays if uses[name] == 1)
        numbers = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        self.places = Places({name: value.shape for name, value in values.items()}, numbers, alone, {})
        self.orders: dict[str, Order] = {}
        self.instead: dict[str, str] = {}
        self.gathered: dict[str, tuple[str, np.ndarray, int]] = {}

    def result(self) -> Read:
        """The rewritten file.

        Raises:
            StuckError: some node or result needs the order of the file.
        """
        for node in self.graph.nodes:
            self._pass(node)
        self._check_others()
        weights = dict(self.read.weights)
        for name, (axis, places) in self.places.moved.items():
            path = self.graph.arrays[name].path
            weights[path] = np.take(weights[path], np.argsort(places), axis)
        frame = rewired(self.graph.frame, self.instead, self.gathered)
        constants = self.graph.constants | {
            f"{output}.indices": Constant.of(indices) for output, (_, indices, _) in self.gathered.items()
        }
        nodes = _needed([each for node in self.graph.nodes for each in self._written(node)], self.graph.output)
        used = {name for node in nodes for name in node.inputs}
        constants = {name: constant for name, constant in constants.items() if name in used}
        graph = replace(self.graph, nodes=nodes, constants=constants, frame=frame)
        return self.read._replace(graph=graph, weights=weights)

    def _pass(self, node: Node) -> None:
        output = node.outputs[0]
        if output in self.shuffles:
            (first, _, _), axis, taken = self.shuffles[output]
            source = first.inputs[0]
            before = self.orders.get(source)
            if before is not None and before.axis != axis:
                raise StuckError([before])
            places = taken if before is None else before.places[taken]
            found = frozenset({output}) | (frozenset() if before is None else before.shuffles)
            self.instead[output] = self.instead.get(source, source)
            self._order(output, Order(axis, places, found))
            return
        orders = [self.orders.get(name) for name in node.inputs]
        inner = any(node in nodes[:-1] for nodes, _, _ in self.shuffles.values())
        if inner or node.operator == "Shape" or not any(orders):
            return
        if node.operator in CUTS and orders[0] is not None:
            self._gather(node, orders[0])
        elif node.operator in RULES:
            made = RULES[node.operator](node, orders, self.places)
            if made is not None:
                self._order(output, made)
        else:
            raise StuckError(orders)

    def _order(self, name: str, order: Order) -> None:
        if not np.array_equal(order.places, np.arange(len(order.places))):
            self.orders[name] = order

    def _gather(self, node: Node, order: Order) -> None:
        """Parts of a value keep the order in which they lie in the whole."""
        source = node.inputs[0]
        for output, taken in zip(node.outputs, _taken([node], self.graph, self.values, order.axis), strict=True):
            if taken is None or len(set(taken.tolist())) < len(taken):
                raise StuckError([order])
            places = order.places[taken]
            self.gathered[output] = (self.instead.get(source, source), np.sort(places), order.axis)
            self._order(output, order.along(order.axis, np.argsort(np.argsort(places))))

    def _check_others(self) -> None:
        """Results of the file, and nodes that the logits do not need, have the order of the file."""
        known = {output for node in self.graph.nodes for output in node.outputs}
        needed = {entry.name for entry in self.model.graph.output} | {self.graph.output}
        for node in self.model.graph.node:
            if not known.intersection(node.output):
                needed.update(node.input)
        reordered = [self.orders[name] for name in needed if name in self.orders]
        lost = frozenset(name for name in needed if name in self.instead)
        if reordered or lost:
            raise StuckError([*reordered, Order(0, np.zeros(0), lost)])

    def _written(self, node: Node) -> Iterable[Node]:
        if any(output in self.gathered for output in node.outputs):
            for output in node.outputs:
                source, _, axis = self.gathered[output]
                names = (source, f"{output}.indices")
                yield Node("Gather", f"{output}.gather", names, (output,), {"axis": axis})
        else:
            yield replace(node, inputs=tuple(self.instead.get(name, name) for name in node.inputs))


def _needed(nodes: Iterable[Node], output: str) -> tuple[Node, ...]:
    wanted, kept = {output}, []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    return tuple(reversed(kept))
