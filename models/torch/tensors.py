"""Tensors of a weights file: known by type and shape at once, their numbers read only when asked for."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import StoreError

BFLOAT16 = "bfloat16"
NUMBERS = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("float64", "float32", "float16", "int64", "int32", "int16", "int8"),
        *("uint64", "uint32", "uint16", "uint8", "bool", "complex64", "complex128"),
    )
} | {BFLOAT16: np.dtype("<u2")}
"""Type of a tensor -> how NumPy reads its bytes. NumPy has no bfloat16, the upper half of a float32."""


class Sealed:
    """Refuses the attributes that a pickle would set on an object that it did not make."""

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a pickle may not change this object")


@dataclass(frozen=True)
class Storage(Sealed):
    """The numbers of one or more tensors, in a row.

    Attributes:
        kind: type of the numbers, such as ``float32``.
        read: gives their bytes.
    """

    kind: str
    read: Callable[[], bytes | memoryview]


@dataclass(frozen=True, eq=False)
class Tensor(Sealed):
    """A view of a storage.

    Attributes:
        kind: type of the numbers, a key of :data:`NUMBERS` or a type that NumPy lacks.
        shape: of the array.
        storage: None for a tensor without data (a meta tensor).
        offset: numbers of the storage before the first of the tensor.
        strides: numbers between neighbours along each axis; None for C order.
    """

    kind: str
    shape: tuple[int, ...]
    storage: Storage | None
    offset: int = 0
    strides: tuple[int, ...] | None = None

    @property
    def floating(self) -> bool:
        """Whether the numbers are floating-point ones, of any precision."""
        return "float" in self.kind

    def array(self) -> np.ndarray:
        """The numbers, ``float32`` if they are floating-point and of the type of the tensor otherwise.

        Raises:
            StoreError: the tensor has no data, or is of a type that NumPy lacks.
            ValueError: the storage is too short.
        """
        if self.storage is None:
            raise StoreError("has no data (a meta tensor); save the weights themselves.")
        if self.kind not in NUMBERS:
            raise StoreError(f"holds {self.kind}; save the weights as float32, as tensor.float() makes them.")
        numbers = np.frombuffer(self.storage.read(), NUMBERS[self.kind])[self.offset :]
        if self.strides is None:
            array = numbers[: math.prod(self.shape)].reshape(self.shape)
        else:
            reach = [(size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)]
            if min(self.offset, *self.shape, *self.strides, 0) < 0 or (
                0 not in self.shape and sum(reach) >= len(numbers)
            ):
                raise ValueError("a tensor reaches beyond its storage")
            steps = [stride * numbers.itemsize for stride in self.strides]
            array = np.lib.stride_tricks.as_strided(numbers, self.shape, steps, writeable=False)
        if self.kind == BFLOAT16:
            return (array.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):
            return np.array(array, np.float32 if self.floating else array.dtype.newbyteorder("="))


def array_of(name: str, tensor: Tensor) -> np.ndarray:
    """The ``float32`` numbers of a tensor that belongs to a network.

    Raises:
        StoreError: they cannot be read, or are of another type; names the tensor.
    """
    try:
        array = tensor.array()
    except StoreError as error:
        raise StoreError(f"cannot be imported: {name!r} {error}") from error
    except Exception as error:  # zlib, zipfile and NumPy have one each for what is damaged
        raise StoreError(f"is damaged at {name!r}; copy or download it again.") from error
    if array.dtype != np.float32:
        if name.endswith("_mask"):
            return array.astype(np.float32)
        raise StoreError(f"holds {array.dtype} in {name!r}, not floating-point numbers; save the float network.")
    return array
