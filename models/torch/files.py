"""Weights files by their content, whatever their names: safetensors, ``torch.save``, and files of other kinds."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, deserialize

from models import git_lfs
from models.errors import StoreError
from models.torch.pickled import read_legacy, read_zip
from models.torch.tensors import NUMBERS, Storage, Tensor

_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors refuses longer headers."""
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_UNPACK = "unpack it first"
_MERGE = "merge them by safetensors.numpy.load_file and save_file"
_OTHERS = {
    b"\x1f\x8b": ("compressed by gzip", _UNPACK),
    b"BZh": ("compressed by bzip2", _UNPACK),
    b"\xfd7zXZ": ("compressed by xz", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", _UNPACK),
    b"7z\xbc\xaf": ("a 7z archive", _UNPACK),
    b"Rar!": ("a RAR archive", _UNPACK),
    b"\x89HDF": ("HDF5, as Keras writes", "save the state_dict of a PyTorch network"),
    b"\x93NUMPY": ("one NumPy array", "save the state_dict of a PyTorch network"),
    b"GGUF": ("GGUF", "save the state_dict of a PyTorch network"),
}
"""First bytes -> what a file is, and what to do."""
_KINDS = {"F": "float", "I": "int", "U": "uint", "C": "complex"}
_AGAIN = "copy or download it again, or save the state_dict anew."
_DAMAGED = f"is damaged or incomplete; {_AGAIN}"
_TAR = 257


def read_content(path: Path) -> Any:
    """The objects of a file; each tensor in it is a :class:`models.torch.tensors.Tensor`.

    Raises:
        StoreError: the file is missing, damaged or of another kind.
    """
    try:
        if path.is_dir():
            raise StoreError(f"{path} is a folder; give the weights file in it.")
        if path.exists() and not path.is_file():
            raise StoreError(f"{path} is a pipe or a device; write its content to a file first.")
        with open(path, "rb") as file:
            start = file.read(512)
    except FileNotFoundError:
        raise StoreError(f"{path} is missing; give a .safetensors or .pt file.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        _refuse_others(path, start)
        if start.startswith(_ZIP):
            return read_zip(path)
        if _is_safetensors(start):
            return _read_safetensors(path)
        return read_legacy(path)
    except StoreError as error:
        raise StoreError(f"{path} {error}") from error
    except SafetensorError as error:
        raise StoreError(f"{path} is not a usable safetensors file ({error}); {_AGAIN}") from error
    except Exception as error:  # a damaged pickle ends in any of a dozen built-in ones
        raise StoreError(f"{path} {_DAMAGED}") from error


def _refuse_others(path: Path, start: bytes) -> None:
    if not start:
        raise StoreError("is empty; copy or download it again.")
    if (part := re.search(r"-\d+-of-0*(\d+)\.", path.name)) and part[1] != "1":
        raise StoreError(f"is one of {part[1]} files of a network; {_MERGE}.")
    if git_lfs.is_pointer(start):
        raise StoreError(git_lfs.REMEDY)
    for first, (kind, remedy) in _OTHERS.items():
        if start.startswith(first):
            raise StoreError(f"is {kind}, not a state_dict; {remedy}.")
    if start[_TAR:].startswith(b"ustar"):
        raise StoreError(f"is a tar archive, not a state_dict; {_UNPACK}.")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if re.match(rb"<(!doctype|html|head|\?xml|!--)", text, re.IGNORECASE):
        raise StoreError("is a web page, not weights; download the file that the page offers.")
    if text.startswith(b"{"):
        if path.name.endswith(".index.json"):
            raise StoreError(f"is the index of weights in several files, not weights; {_MERGE}.")
        raise StoreError("is JSON, not weights; give a .safetensors or .pt file.")
    if not (start.startswith((_ZIP, _PICKLE)) or _is_safetensors(start)):
        raise StoreError("is neither safetensors nor what torch.save writes; save the state_dict anew.")


def _is_safetensors(start: bytes) -> bool:
    """Whether a file that begins with these bytes is safetensors: the length of its header, and the header.

    A header of 640 or 1,152 bytes begins as a pickle does; no pickle has so small a number there.
    """
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    tensors = {}
    for name, entry in deserialize(path.read_bytes()):
        storage = Storage(_kind(entry["dtype"]), partial(entry.get, "data"))
        tensors[name] = Tensor(storage.kind, tuple(entry["shape"]), storage)
    return tensors


def _kind(dtype: str) -> str:
    """``float32`` for safetensors' ``F32``."""
    if dtype in ("BOOL", "BF16"):
        return {"BOOL": "bool", "BF16": "bfloat16"}[dtype]
    kind = _KINDS.get(dtype[0], "") + dtype[1:]
    return kind if kind in NUMBERS else dtype.lower().replace("f8", "float8")
