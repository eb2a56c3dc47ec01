"""The normalisation layer in front of a network: buffers of a mean and of a standard deviation.

The user tells the normalisation of the images. So this layer is left out, and has to agree with what was told.
"""

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from models.errors import StoreError
from models.normalisation import Normalisation
from models.torch.names import is_of_training, is_second, listed
from models.torch.tensors import Tensor, array_of

_WORDS = (("mean", "std"), ("means", "stds"), ("means", "sds"), ("mu", "sigma"))
_INSIDE = re.compile(r"(^|\.)(layer\d+|features?\.(?!0\.))")
"""Names in a network, but for the first layer of its features."""
_MOST_CHANNELS = 4
_CLOSE = 1e-3
"""Largest difference of a normalised pixel; numbers in scripts are rounded."""


@dataclass(frozen=True)
class Front:
    """A normalisation layer: names and content of its mean and standard deviation."""

    names: tuple[str, str]
    mean: Tensor
    std: Tensor

    @property
    def prefix(self) -> str:
        """The name of the module that has the two buffers."""
        return self.names[0].rpartition(".")[0]

    def normalisation(self, channels: int) -> Normalisation:
        """Of pixels from 0 to 1; the layer may be one for pixels from 0 to 255.

        Raises:
            StoreError: the arrays are not those of so many channels, or no normalisation.
        """
        both = zip(self.names, (self.mean, self.std), strict=True)
        mean, std = (array_of(name, tensor).astype(np.float64).ravel() for name, tensor in both)
        if not {mean.size, std.size} <= {1, channels}:
            raise StoreError(
                f"holds {listed(self.names)} of {mean.size} and {std.size} channels, and `mean` and `std` have "
                f"{channels}; give one of each for each channel."
            )
        scale = 255 if max(mean.max(), std.max()) > 1 else 1
        mean, std = (np.broadcast_to(each / scale, channels) for each in (mean, std))
        return Normalisation(tuple(mean.tolist()), tuple(std.tolist()))


def without_fronts(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[Front]]:
    """The tensors without those of normalisation layers, and these layers."""
    fronts = [
        Front((mean, std), tensors[mean], tensors[std])
        for mean, std in _pairs(tensors)
        if _is_small(tensors[mean]) and _is_small(tensors[std])
    ]
    taken = {name for front in fronts for name in front.names}
    return {name: tensor for name, tensor in tensors.items() if name not in taken}, fronts


def front_of(root: str, fronts: Iterable[Front]) -> Front | None:
    """The layer in front of the network with this root: within the network, or else beside it.

    Raises:
        StoreError: there are several.
    """
    likely = [front for front in fronts if is_second(root) or not is_second(front.prefix)]
    within = [front for front in likely if _is_below(front.prefix, root)]
    found = within or [front for front in likely if _is_below(root, front.prefix.rpartition(".")[0])]
    if len(found) > 1:
        shown = listed([front.names[0] for front in found])
        raise StoreError(
            f"holds several normalisation layers, {shown}; save the state_dict without those that are not "
            "in front of the network."
        )
    return found[0] if found else None


def check_front(front: Front, told: Normalisation, forced: bool) -> str:
    """A sentence about the layer.

    Args:
        front: the layer.
        told: the normalisation that the model gets.
        forced: whether ``told`` is right though the layer has another one.

    Raises:
        StoreError: the layer has another one.
    """
    found = front.normalisation(len(told.mean))
    if _distance(found, told) <= _CLOSE:
        return f"{listed(front.names)} left out, which are the normalisation by `mean` and `std`"
    if forced:
        return f"{listed(front.names)} left out, which are another normalisation than `mean` and `std`"
    mean, std = (",".join(f"{number:.6g}" for number in each) for each in (found.mean, found.std))
    raise StoreError(
        f"normalises by {listed(front.names)}, which are not `mean` and `std`; give `mean` {mean} and `std` "
        f"{std}, of pixels from 0 to 1, or `force` if `mean` and `std` include what this layer does."
    )


def _is_below(name: str, root: str) -> bool:
    return f"{name}.".startswith(f"{root}.") if root else True


def _pairs(names: Collection[str]) -> list[tuple[str, str]]:
    pairs = []
    for name in names:
        prefix, dot, last = name.rpartition(".")
        for mean, std in _WORDS:
            stem = last.removesuffix(mean)
            other = f"{prefix}{dot}{stem}{std}" if stem != last and (not stem or stem.endswith("_")) else ""
            if other in names and not _INSIDE.search(name) and not is_of_training(name):
                pairs.append((name, other))
    return pairs


def _is_small(tensor: Tensor) -> bool:
    sizes = [size for size in tensor.shape if size != 1]
    return tensor.floating and len(sizes) <= 1 and math.prod(sizes) <= _MOST_CHANNELS


def _distance(one: Normalisation, other: Normalisation) -> float:
    """The largest difference of a normalised pixel; pixels from 0 to 1."""
    ends = np.array([[0.0], [1.0]])
    pixels = [(ends - each.mean) / each.std for each in (one, other)]
    return float(np.abs(pixels[0] - pixels[1]).max())
