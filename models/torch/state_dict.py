"""The arrays of a network from a weights file: opened, unpacked and folded, by their names in PyTorch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import StoreError
from models.torch import checkpoint
from models.torch.files import read_content
from models.torch.reparametrised import folded
from models.torch.tensors import Tensor


@dataclass(frozen=True)
class StateDict:
    """The weights of one network.

    Attributes:
        arrays: finite ``float32`` arrays by their names in PyTorch, without what wrappers put before them.
        assumed: sentences about what was taken and left out; see :class:`models.imported.ImportedNetwork`.
    """

    arrays: dict[str, np.ndarray]
    assumed: tuple[str, ...] = ()


def read_state_dict(path: Path, weights: str | None = None) -> StateDict:
    """The weights in a file, without the counters of batch norms and averages. No code in the file is run.

    Args:
        path: of a file in safetensors, or as ``torch.save`` writes, by any name.
        weights: key of the network in a checkpoint that holds several.

    Raises:
        StoreError: the file is missing, damaged or of another kind, or holds no network that stands out, or an
            array that is not of finite floating-point numbers.
    """
    content = read_content(path)
    try:
        taken = checkpoint.chosen(content, path.name, weights)
        arrays = {name: _array(name, tensor) for name, tensor in taken.tensors.items()}
        arrays, assumed = folded(arrays)
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise StoreError(f"has NaN or infinity as float32 in {name!r}; save the weights anew.")
    except StoreError as error:
        raise StoreError(f"{path} {error}") from error
    return StateDict(arrays, taken.assumed + assumed)


def _array(name: str, tensor: Tensor) -> np.ndarray:
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
