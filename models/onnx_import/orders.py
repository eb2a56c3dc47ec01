"""How the order of channels passes through the nodes of a graph, up to the weights that can take it up."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from models.onnx.graph import Node
from models.onnx.operators.elementwise import SEVERAL, UNARY, WITH_NUMBERS
from models.onnx.operators.reduction import REDUCTION


class Order(NamedTuple):
    """The order in which a value lies after the shuffles in front of it are left out.

    Attributes:
        axis: of the channels, in ONNX.
        places: ``int64[extent]``: where the index of the file lies now.
        shuffles: the values that the shuffles would have made.
    """

    axis: int
    places: np.ndarray
    shuffles: frozenset[str]

    def along(self, axis: int, places: np.ndarray) -> "Order":
        """Another order that comes from the same shuffles."""
        return self._replace(axis=axis, places=places)


class StuckError(Exception):
    """Some node cannot take an order; the shuffles that made the order have to stay."""

    def __init__(self, orders: Iterable[Order | None]):
        self.shuffles: frozenset[str] = frozenset().union(
            *(order.shuffles for order in orders if order is not None)
        )
        super().__init__()


class Places(NamedTuple):
    """What the rules know of a graph.

    Attributes:
        shapes: name of a value -> its shape for one image.
        numbers: name of a static value -> its numbers.
        arrays: names of the weights that one node alone reads.
        moved: name of an array -> the axis and the places of its new order.
    """

    shapes: Mapping[str, tuple[int, ...]]
    numbers: Mapping[str, np.ndarray]
    arrays: frozenset[str]
    moved: dict[str, tuple[int, np.ndarray]]

    def move(self, name: str, axis: int, order: Order) -> None:
        """Put an axis of an array in an order."""
        if name not in self.arrays or name in self.moved:
            raise StuckError([order])
        self.moved[name] = (axis, order.places)


Rule = Callable[[Node, Sequence[Order | None], Places], Order | None]
"""From a node and the orders of its inputs to the order of its result; None for the order of the file."""


def _same(node: Node, orders: Sequence[Order | None], places: Places) -> Order | None:
    return orders[0]


def _pool(node: Node, orders: Sequence[Order | None], places: Places) -> Order | None:
    order = _first(orders)
    if order.axis != 1:
        raise StuckError(orders)
    return order


def _first(orders: Sequence[Order | None]) -> Order:
    order, *others = orders
    if order is None or any(other is not None for other in others):
        raise StuckError(orders)
    return order


def _convolution(node: Node, orders: Sequence[Order | None], places: Places) -> Order | None:
    order = _first(orders)
    kernel, groups = places.shapes[node.inputs[1]], node.attributes.get("group", 1)
    if order.axis != 1 or (groups > 1 and kernel[1] > 1):
        raise StuckError(orders)
    if groups == 1:
        places.move(node.inputs[1], 1, order)
        return None
    each = kernel[0] // groups
    filters = order.along(1, (order.places[:, None] * each + np.arange(each)).reshape(-1))
    for name in node.inputs[1:]:
        if name:
            places.move(name, 0, filters)
    return filters


def _normalisation(node: Node, orders: Sequence[Order | None], places: Places) -> Order | None:
    order = _pool(node, orders, places)
    assert order is not None
    for name in node.inputs[1:]:
        places.move(name, 0, order)
    return order


def _product(node: Node, orders: Sequence[Order | None], places: Places) -> Order | None:
    order, kernel = _first(orders), places.shapes[node.inputs[1]]
    last = len(places.shapes[node.inputs[0]]) - 1
    if order.axis != last or node.attributes.get("transA", 0) or len(kernel) != 2:
        raise StuckError(orders)
    places.move(node.inputs[1], 1 if node.attributes.get("transB", 0) else 0, order)
    return None


def _several(node: Node, orders: Sequence[Order | None], places: Places) -> Order | None:
    """Values that meet have one order; weights take the order up."""
    shapes = [places.shapes[name] for name in node.inputs]
    # Axes are aligned at the end.
    met = [
        (order.axis - len(shape), order) for order, shape in zip(orders, shapes, strict=True) if order is not None
    ]
    end, order = met[0]
    if any(axis != end or not np.array_equal(other.places, order.places) for axis, other in met):
        raise StuckError(orders)
    shuffles = frozenset().union(*(other.shuffles for _, other in met))
    for name, shape, has in zip(node.inputs, shapes, orders, strict=True):
        if has is None and len(shape) >= -end and shape[end] != 1:
            places.move(name, len(shape) + end, order)
    return Order(max(map(len, shapes)) + end, order.places, shuffles)


def _concatenation(node: Node, orders: Sequence[Order | None], places: Places) -> Order | None:
    shapes = [places.shapes[name] for name in node.inputs]
    along = node.attributes["axis"] % len(shapes[0])
    if any(order is not None and order.axis != along for order in orders):
        raise StuckError(orders)
    found, start = [], 0
    for order, shape in zip(orders, shapes, strict=True):
        found.append(start + (np.arange(shape[along]) if order is None else order.places))
        start += shape[along]
    return Order(along, np.concatenate(found), StuckError(orders).shuffles)


def _reduction(node: Node, orders: Sequence[Order | None], places: Places) -> Order | None:
    order, rank = _first(orders), len(places.shapes[node.inputs[0]])
    axes = node.attributes.get("axes")
    if len(node.inputs) > 1 and node.inputs[1]:
        axes = places.numbers[node.inputs[1]].reshape(-1).tolist()
    gone = {axis % rank for axis in axes or range(rank)}
    if order.axis in gone or not axes:
        raise StuckError(orders)
    kept = node.attributes.get("keepdims", 1)
    return order if kept else order.along(order.axis - sum(axis < order.axis for axis in gone), order.places)


def _transpose(node: Node, orders: Sequence[Order | None], places: Places) -> Order | None:
    order, rank = _first(orders), len(places.shapes[node.inputs[0]])
    permutation = list(node.attributes.get("perm", range(rank)[::-1]))
    return order.along(permutation.index(order.axis), order.places)


def _flattening(node: Node, orders: Sequence[Order | None], places: Places) -> Order | None:
    """Channels and the places behind them become one axis; all other axes have one index."""
    order = _first(orders)
    before, after = places.shapes[node.inputs[0]], places.shapes[node.outputs[0]]
    behind = prod(before[order.axis + 1 :])
    axis = max(range(len(after)), key=lambda number: after[number])
    if prod(before[: order.axis]) != 1 or after[axis] != prod(before):
        raise StuckError(orders)
    return order.along(axis, (order.places[:, None] * behind + np.arange(behind)).reshape(-1))


RULES: dict[str, Rule] = {
    **dict.fromkeys((*UNARY, *WITH_NUMBERS, "Cast", "Clip", "Dropout", "Gelu", "Identity"), _same),
    **dict.fromkeys((*SEVERAL, "Div", "Mean", "PRelu"), _several),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"), _pool),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization"), _normalisation),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _flattening),
    **dict.fromkeys(("Gemm", "MatMul"), _product),
    **dict.fromkeys(REDUCTION, _reduction),
    "Concat": _concatenation,
    "Conv": _convolution,
    "Transpose": _transpose,
}
"""Operation -> its rule; every other operation needs the order of the file."""
