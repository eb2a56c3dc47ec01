"""An ONNX graph as plain data: its nodes, its ports and the shapes of its arrays. Holds no weights."""

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import numpy as np


@dataclass(frozen=True)
class Node:
    """An operation.

    Attributes:
        operator: the name of the operation in ONNX, such as ``Conv``.
        name: of the node, for messages; may be empty.
        inputs: names of values; an empty name stands for an input that is left out.
        outputs: names of values.
        attributes: numbers, strings, and lists of these.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The node for messages: its operation and its name."""
        return f"{self.operator} {self.name or self.outputs[0]!r}"


@dataclass(frozen=True)
class Array:
    """An array of weights.

    Attributes:
        path: its name in our networks, ``LAYER.ROLE``.
        shape: of the whole array, in ONNX's order of axes.
        dtype: NumPy's name of the type in the file; ours is ``float32``.
        trained: whether the array counts as parameters; means and variances of batch norms do not.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    trained: bool = True


@dataclass(frozen=True)
class Constant:
    """A small array that no mask and no training changes: shapes, axes, bounds, single numbers.

    Attributes:
        dtype: NumPy's name of the type.
        shape: of the array.
        numbers: its elements in order.
    """

    dtype: str
    shape: tuple[int, ...]
    numbers: tuple[bool | int | float | str, ...]

    @classmethod
    def of(cls, array: np.ndarray) -> "Constant":
        """The constant that holds an array."""
        numbers = [repr(number) if _not_finite(number) else number for number in array.ravel().tolist()]
        return cls(array.dtype.name, array.shape, tuple(numbers))

    def array(self) -> np.ndarray:
        """The array."""
        numbers = [float(number) if isinstance(number, str) else number for number in self.numbers]
        return np.array(numbers, self.dtype).reshape(self.shape)


def _not_finite(number: Any) -> bool:
    """JSON has no infinity and no NaN."""
    return isinstance(number, float) and not math.isfinite(number)


@dataclass(frozen=True, eq=False)
class Graph:
    """A network as ONNX writes it. Graphs of equal content are equal.

    Attributes:
        opset: version of the standard's operations.
        input: name of the value that holds the images.
        channels_last: whether the images are NHWC; NCHW otherwise.
        output: name of the value that holds the logits: the input of a last softmax or argmax, if there is one.
        batch: number of images that the graph is fixed to; None if it takes any number.
        nodes: in an order in which every value is made before it is used.
        arrays: name of a value -> the array of weights that it holds.
        constants: name of a value -> the constant that it holds.
        frame: the whole file without the arrays of :attr:`arrays`, compressed and in base 64, so that an export
            can fill in smaller arrays and leave everything else as it was (:mod:`models.onnx.frame`).
    """

    opset: int
    input: str
    channels_last: bool
    output: str
    batch: int | None
    nodes: tuple[Node, ...]
    arrays: dict[str, Array]
    constants: dict[str, Constant]
    frame: str

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)
