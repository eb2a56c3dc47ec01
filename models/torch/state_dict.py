"""The arrays of a network from a weights file: opened, unpacked and folded, by their names in PyTorch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import StoreError
from models.torch import checkpoint
from models.torch.files import read_content
from models.torch.front import Front
from models.torch.reparametrised import folded
from models.torch.tensors import array_of


@dataclass(frozen=True)
class StateDict:
    """The weights of one network.

    Attributes:
        arrays: finite ``float32`` arrays by their names in PyTorch, without what wrappers put before them.
        assumed: sentences about what was taken and left out; see :class:`models.imported.ImportedNetwork`.
        front: a normalisation layer in front of the network.
    """

    arrays: dict[str, np.ndarray]
    assumed: tuple[str, ...] = ()
    front: Front | None = None


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
        arrays = {name: array_of(name, tensor) for name, tensor in taken.tensors.items()}
        arrays, assumed = folded(arrays)
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise StoreError(f"has NaN or infinity as float32 in {name!r}; save the weights anew.")
    except StoreError as error:
        raise StoreError(f"{path} {error}") from error
    return StateDict(arrays, taken.assumed + assumed, next(iter(taken.fronts), None))
