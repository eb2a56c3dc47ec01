"""What ``torch.save`` wrote, read without PyTorch and without running code.

A pickle names the classes and functions that rebuild its objects, and a usual reader imports and calls them.
This reader imports none: it rebuilds tensors and plain containers itself, and puts an inert :class:`Opaque` in
place of all other objects.
"""

import io
import mmap
import pickle
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import StoreError
from models.torch.tensors import Sealed, Storage, Tensor

CODE = {"os", "posix", "nt", "sys", "subprocess", "shutil", "socket", "runpy", "importlib", "ctypes"}
"""Modules of which no object is data."""
CALLS = {"eval", "exec", "execfile", "compile", "open", "input", "breakpoint", "__import__"}
_BUILTINS = ("builtins", "__builtin__")
_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "Untyped": "uint8",
}
_TYPES = re.compile(r"(bfloat|float|complex|u?int|qu?int|bool|bits)\w*")
_BYTES = {"float16": 2, "bfloat16": 2, "int16": 2, "int8": 1, "uint8": 1, "bool": 1, "float32": 4, "int32": 4}
_BYTES |= {"QInt8": 1, "QUInt8": 1, "QUInt4x2": 1, "QUInt2x4": 1, "QInt32": 4, "complex128": 16}
"""Bytes of a number; 8 of the others."""


class Opaque(dict[Any, Any]):
    """Stands for an object whose class is not looked up. Keeps the items of a mapping and the state of an object.

    Attributes:
        origin: dotted name of the class or function.
        state: attributes of the object, if the pickle holds any.
    """

    origin = ""
    state: Any = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__()

    def __call__(self, *arguments: Any, **named: Any) -> "Opaque":
        """Stands for what the object would return, too."""
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, item: Any) -> None:
        """Drops an item of a list."""

    def extend(self, items: Any) -> None:
        """Drops items of a list."""

    add = append
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__

    @property
    def is_tensor(self) -> bool:
        """Whether the object is a tensor of another kind than an array in memory."""
        return self.origin.startswith(("torch._utils._rebuild", "torch.Tensor with"))

    @property
    def is_module(self) -> bool:
        """Whether the object is a ``torch.nn.Module``."""
        return isinstance(self.state, dict) and "_modules" in self.state


class _DType(Opaque):
    """A type of NumPy, such as ``f4``."""

    def __init__(self, code: Any = "", *rest: Any) -> None:
        super().__init__()
        self.code = str(code)


class NumPyArray(Opaque):
    """An array of NumPy."""

    origin = "numpy.ndarray"

    def tensor(self) -> "Tensor | NumPyArray":
        """The array as a tensor; the same object where its type has no tensor."""
        try:
            _, shape, dtype, by_columns, content = self.state
            kind = np.dtype(dtype.state[1].replace("|", "<") + dtype.code)
        except (TypeError, ValueError, AttributeError, IndexError):
            return self
        if not isinstance(content, bytes | bytearray) or kind.newbyteorder("<") != kind:
            return self
        steps = np.empty(shape, np.int8, order="F" if by_columns else "C").strides
        return Tensor(kind.name, tuple(shape), Storage(kind.name, lambda: bytes(content)), 0, steps)


class _Plain(dict[Any, Any]):
    """An ordered dictionary, without the metadata that a ``state_dict`` has beside its tensors."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Defaults(_Plain):
    def __init__(self, *factory: Any) -> None:
        super().__init__()


@dataclass(frozen=True)
class _Kind(Sealed):
    """The type of a storage or of a tensor."""

    name: str


@dataclass(frozen=True)
class _Rebuild(Sealed):
    """A function that a pickle may call."""

    function: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


def _tensor(storage: Storage, offset: int, shape: Any, strides: Any, *rest: Any) -> Any:
    metadata = rest[2] if len(rest) > 2 else None
    return _of_kind(storage.kind, storage, offset, shape, strides, metadata)


def _tensor_of_kind(storage: Storage, offset: int, shape: Any, strides: Any, *rest: Any) -> Any:
    metadata = rest[3] if len(rest) > 3 else None
    return _of_kind(rest[2].name, storage, offset, shape, strides, metadata)


def _of_kind(kind: str, storage: Storage, offset: int, shape: Any, strides: Any, metadata: Any) -> Any:
    if metadata:  # numbers that are read as negated or conjugated
        return _opaque("torch.Tensor with " + ", ".join(map(str, metadata)))()
    return Tensor(kind, tuple(map(int, shape)), storage, int(offset), tuple(map(int, strides)))


def _meta(kind: _Kind, shape: Any, *rest: Any) -> Tensor:
    return Tensor(kind.name, tuple(shape), None)


def _subclass(function: Any, kind: Any, arguments: tuple[Any, ...], state: Any) -> Any:
    """A tensor with attributes, which are dropped; a tensor of a class that may mean other numbers is opaque."""
    return function(*arguments) if isinstance(kind, _Kind) else kind()


def _numpy_array(content: Any, dtype: Any, shape: Any, order: str) -> NumPyArray:
    array = NumPyArray()
    array.state = (1, shape, dtype, order == "F", content)
    return array


def _opaque(origin: str) -> type[Opaque]:
    return type(origin.rpartition(".")[2], (Opaque,), {"origin": origin})


_REBUILT: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_kind,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._utils._rebuild_parameter": lambda tensor, *rest: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, *rest: tensor,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch.storage._load_from_bytes": lambda content: read_legacy(content),
    "_codecs.encode": lambda text, coding: text.encode("latin1"),
    "numpy.core.multiarray._reconstruct": lambda *rest: NumPyArray(),
    "numpy._core.multiarray._reconstruct": lambda *rest: NumPyArray(),
    "numpy.core.numeric._frombuffer": _numpy_array,
    "numpy._core.numeric._frombuffer": _numpy_array,
}
_TENSOR_CLASSES = {"torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"}


class _Unpickler(pickle._Unpickler):
    """The reader in Python: the one in C takes memory for any number that a damaged pickle names."""

    def __init__(self, file: Any, storage: Callable[[str, str, int], Storage]) -> None:
        super().__init__(file, encoding="latin1")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if module.split(".")[0] in CODE or (module in _BUILTINS and name in CALLS):
            raise StoreError(
                f"holds code, which was not run ({full}); do not load the file by other means unless you trust "
                "its source, and ask for the state_dict alone."
            )
        if full in _REBUILT:
            return _Rebuild(_REBUILT[full])
        if full in ("collections.OrderedDict", "collections.Counter"):
            return _Plain
        if full == "collections.defaultdict":
            return _Defaults
        if full == "torch.Size":
            return tuple
        if full == "numpy.dtype":
            return _DType
        if full in _TENSOR_CLASSES:
            return _Kind("Tensor")
        if module.split(".")[0] == "torch" and name.endswith("Storage"):
            kind = name.removesuffix("Storage")
            return _Kind(_STORAGES.get(kind, kind))
        if module == "torch" and _TYPES.fullmatch(name):
            return _Kind(name)
        return _opaque(full)

    def persistent_load(self, pid: Any) -> Any:
        """The storage of a tensor, which the pickle names by a key."""
        if pid[0] == "module":  # the class of a network, with its source
            return pid[1]
        _, kind, key, _, numbers, *view = pid
        if view and view[0] is not None:
            raise StoreError("holds views of storages, as PyTorch before 0.4 wrote; save it anew by a newer one.")
        return self._storage(kind.name, str(key), int(numbers))


def read_zip(path: Path) -> Any:
    """The content of a zip archive, as ``torch.save`` writes since PyTorch 1.6.

    Raises:
        StoreError: the archive is of another kind, or names code.
        Exception: any, if the file is damaged.
    """
    archive = zipfile.ZipFile(path)
    names = archive.namelist()
    roots = [name.removesuffix("data.pkl") for name in names if re.fullmatch("[^/]*/data.pkl", name)]
    if any(name.endswith("/constants.pkl") for name in names):
        lines = f"torch.save(torch.jit.load('{path.name}').state_dict(), 'weights.pt')"
        raise StoreError(f"is a TorchScript program, not weights; save them by {lines}.")
    if len(roots) != 1:
        shown = ", ".join(names[:3]) or "nothing"
        raise StoreError(
            f"is a zip archive, but not of torch.save (it holds {shown}); save model.state_dict() or unpack it."
        )
    [root] = roots
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
        raise StoreError("was written by a big-endian machine; save it as safetensors there.")

    def storage(kind: str, key: str, numbers: int) -> Storage:
        return Storage(kind, lambda: archive.read(f"{root}data/{key}"))

    # Read as a whole, so that its checksum is compared first.
    return _Unpickler(io.BytesIO(archive.read(f"{root}data.pkl")), storage).load()


def read_legacy(source: Path | bytes) -> Any:
    """The content of a row of pickles and storages, as older versions write, or of one plain pickle.

    Raises:
        StoreError: the pickle names code.
        Exception: any, if the file is damaged.
    """
    if isinstance(source, bytes):
        content: Any = mmap.mmap(-1, max(len(source), 1))
        content[: len(source)] = source
    else:
        with open(source, "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    places: dict[str, tuple[int, int]] = {}
    kinds: dict[str, str] = {}

    def storage(kind: str, key: str, numbers: int) -> Storage:
        def read() -> memoryview:
            place, size = places[key]
            if place + size > len(content):
                raise EOFError("the file ends before its storages")
            return memoryview(content)[place : place + size]

        kinds[key] = kind
        return Storage(kind, read)

    def load() -> Any:
        return _Unpickler(content, storage).load()

    first = load()
    if first != _MAGIC:
        return first
    _, system, found = load(), load(), load()
    if not system.get("little_endian", True):
        raise StoreError("was written by a big-endian machine; save it as safetensors there.")
    for key in load():
        numbers = int.from_bytes(content.read(8), "little")
        kind = kinds[str(key)]
        size = numbers * _BYTES.get(kind, 8)
        places[str(key)] = content.tell(), size
        content.seek(size, 1)
    return found
