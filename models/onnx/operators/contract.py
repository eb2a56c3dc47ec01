"""What an operation gets, and what it returns."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from models.onnx.graph import Node
from models.onnx.value import Value


class Call(NamedTuple):
    """A node with its operands.

    Attributes:
        node: of the graph.
        operands: values of its inputs; None for an input that is left out.
        opset: version of the standard's operations.
        batch: number of images that the graph is fixed to; None if it takes any number. The program is for one
            image.
    """

    node: Node
    operands: Sequence[Value | None]
    opset: int
    batch: int | None

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node."""
        return self.node.attributes.get(name, default)

    def operand(self, place: int) -> Value | None:
        """An operand; None if it is left out."""
        return self.operands[place] if place < len(self.operands) else None

    def given(self, place: int) -> Value:
        """An operand that the operation needs.

        Raises:
            ValueError: it is left out.
        """
        value = self.operand(place)
        if value is None:
            raise ValueError(f"its input {place} is missing")
        return value


Operator = Callable[[Call], Value | list[Value]]
"""From a node with its operands to its results.

Raises:
    ValueError: the node cannot be run; the message goes behind the name of the node.
"""
