"""Weights that PyTorch keeps in several arrays: pruned, weight-normalised and spectrally normalised ones.

Each is folded into the one array that the layer computes with when it is not being trained.
"""

import re
from collections.abc import Callable, Mapping

import numpy as np

from models.errors import StoreError
from models.torch.names import listed

_Arrays = dict[str, np.ndarray]
_OLD = re.compile(r"(.*\b)(weight|bias)_(orig|mask|g|v|u)")
_NEW = re.compile(r"(.*\b)parametrizations\.(\w+)\.(.+)")


def folded(arrays: Mapping[str, np.ndarray]) -> tuple[_Arrays, tuple[str, ...]]:
    """The arrays with one array for each weight, and what was folded, in sentences.

    Args:
        arrays: by their names in PyTorch.

    Raises:
        StoreError: a parametrization that is not known, or whose arrays do not fit each other.
    """
    plain: _Arrays = {}
    split: dict[str, _Arrays] = {}
    for name, array in arrays.items():
        new, old = _NEW.fullmatch(name), _OLD.fullmatch(name)
        if new:
            split.setdefault(new[1] + new[2], {})[f"new {new[3]}"] = array
        elif old and f"{old[1]}{old[2]}" not in arrays:
            split.setdefault(old[1] + old[2], {})[old[3]] = array
        else:
            plain[name] = array
    kinds: dict[str, list[str]] = {}
    for name, parts in split.items():
        kind, fold = _KINDS.get(frozenset(parts), ("", None))
        try:
            if fold is None:
                raise ValueError
            with np.errstate(all="ignore"):
                plain[name] = fold(parts)
        except ValueError:
            raise StoreError(_remedy(name, parts)) from None
        kinds.setdefault(kind, []).append(name)
    said = tuple(f"{listed(names)} folded from the parts that {kind} makes" for kind, names in kinds.items())
    return plain, said


def _pruned(parts: _Arrays) -> np.ndarray:
    if parts["orig"].shape != parts["mask"].shape:
        raise ValueError
    return parts["orig"] * parts["mask"]


def _weight_norm(length: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Length times direction over its norm, taken over the axes along which there is one length."""
    if length.ndim == 0:
        return length * direction / np.sqrt((direction**2).sum())
    if length.ndim != direction.ndim or any(
        found not in (1, size) for found, size in zip(length.shape, direction.shape, strict=True)
    ):
        raise ValueError
    axes = tuple(axis for axis, size in enumerate(length.shape) if size == 1)
    return length * direction / np.sqrt((direction**2).sum(axes, keepdims=True))


def _spectral_norm(weight: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The weight over its largest singular value, as the stored singular vectors give it."""
    return weight / (left @ weight.reshape(len(weight), -1) @ right)


_KINDS: dict[frozenset[str], tuple[str, Callable[[_Arrays], np.ndarray]]] = {
    frozenset({"orig", "mask"}): ("torch.nn.utils.prune", _pruned),
    frozenset({"g", "v"}): ("weight_norm", lambda parts: _weight_norm(parts["g"], parts["v"])),
    frozenset({"new original0", "new original1"}): (
        "weight_norm",
        lambda parts: _weight_norm(parts["new original0"], parts["new original1"]),
    ),
    frozenset({"orig", "u", "v"}): (
        "spectral_norm",
        lambda parts: _spectral_norm(parts["orig"], parts["u"], parts["v"]),
    ),
    frozenset({"new original", "new 0._u", "new 0._v"}): (
        "spectral_norm",
        lambda parts: _spectral_norm(parts["new original"], parts["new 0._u"], parts["new 0._v"]),
    ),
}
"""Parts of a weight -> what split it, and the weight from its parts."""


def _remedy(name: str, parts: _Arrays) -> str:
    module, _, parameter = name.rpartition(".")
    if any(part.startswith("new") for part in parts):
        call = f"torch.nn.utils.parametrize.remove_parametrizations(layer, '{parameter}')"
    elif "mask" in parts:
        call = f"torch.nn.utils.prune.remove(layer, '{parameter}')"
    elif "g" in parts:
        call = f"torch.nn.utils.remove_weight_norm(layer, '{parameter}')"
    else:
        call = f"torch.nn.utils.remove_spectral_norm(layer, '{parameter}')"
    found = ", ".join(part.removeprefix("new ") for part in parts)
    return (
        f"keeps {name!r} in parts ({found}) that do not fit; call {call} for the layer {module!r} and save "
        "the state_dict anew."
    )
