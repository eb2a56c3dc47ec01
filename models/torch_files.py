"""PyTorch weights files: a ``state_dict`` in safetensors, or as ``torch.save`` wrote it.

A ``.pt`` file is a pickle, which can run code as it is read. It is read by PyTorch's own weights-only reader
(``torch.load(weights_only=True)``), which builds tensors and plain containers and refuses everything else;
safetensors holds nothing that could run, and needs no PyTorch.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import StoreError
from models.store import read_weights

PICKLED = (".pt", ".pth")
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Under which training scripts keep the ``state_dict`` in a checkpoint."""
PARALLEL = "module."
"""What ``torch.nn.DataParallel`` puts before every name."""
_DAMAGED = "is damaged, or not what torch.save writes; save the state_dict anew."
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors reads none that is longer."""


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """The finite ``float32`` arrays of a file by their names in PyTorch, without batch norm's step counters.

    Raises:
        StoreError: missing, damaged, of another format than its name says, in need of PyTorch, no
            ``state_dict``, or with an array that is not of finite floating-point numbers.
    """
    pickled = path.suffix.lower() in PICKLED
    _check_name(path, pickled)
    arrays = _read_pickled(path) if pickled else read_weights(path)
    if arrays and all(name.startswith(PARALLEL) for name in arrays):
        arrays = {name.removeprefix(PARALLEL): array for name, array in arrays.items()}
    kept = {name: array for name, array in arrays.items() if not name.endswith("num_batches_tracked")}
    for name, array in kept.items():
        if not np.issubdtype(array.dtype, np.floating):
            raise StoreError(f"{path}: {name!r} holds {array.dtype}, not floating-point numbers.")
        if not np.isfinite(array).all():
            raise StoreError(f"{path}: {name!r} holds NaN or infinity; export the weights anew.")
    return {name: array.astype(np.float32) for name, array in kept.items()}


def _check_name(path: Path, pickled: bool) -> None:
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except FileNotFoundError:
        raise StoreError(f"{path} is missing; give a .safetensors or .pt file.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    safetensors = _is_safetensors(start)
    if pickled and safetensors:
        raise StoreError(f"{path} holds safetensors, not what torch.save writes; rename it to .safetensors.")
    if pickled and not start.startswith((_ZIP, _PICKLE)):
        raise StoreError(f"{path} {_DAMAGED}")
    if not pickled and not safetensors and start.startswith((_ZIP, _PICKLE)):
        raise StoreError(
            f"{path} is not a usable safetensors file: it is a pickle, as torch.save writes it; name it "
            f"{path.stem}.pt if it is a PyTorch state_dict."
        )


def _is_safetensors(start: bytes) -> bool:
    """Whether a file that begins with these 9 bytes is safetensors: the length of its header, and the header.

    A header of 640 or 1,152 bytes begins as a pickle does; no pickle has so small a number there.
    """
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER


def _read_pickled(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError:
        raise StoreError(
            f"{path} needs PyTorch to be read: 'pip install torch', or save the weights with "
            "safetensors.torch.save_file where PyTorch is."
        ) from None
    try:
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle ends in any of a dozen built-in ones
        refused = "Unsupported" in str(error) or "GLOBAL" in str(error) or "TorchScript" in str(error)
        raise StoreError(
            f"{path} holds more than weights (code or objects), none of which was run; save "
            "model.state_dict() alone."
            if refused
            else f"{path} {_DAMAGED}"
        ) from error
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    if not isinstance(content, Mapping) or not content:
        raise StoreError(f"{path} holds no state_dict; save model.state_dict().")
    return {str(name): _to_numpy(path, name, tensor) for name, tensor in content.items()}


def _to_numpy(path: Path, name: str, tensor: Any) -> np.ndarray:
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or tensor.is_quantized:
        raise StoreError(f"{path}: {name!r} is no plain tensor; save model.state_dict() of the float network.")
    if tensor.is_meta:
        raise StoreError(f"{path}: {name!r} has no data (a meta tensor); save the weights themselves.")
    # NumPy has no bfloat16.
    return (tensor.float() if tensor.is_floating_point() else tensor).detach().numpy()
