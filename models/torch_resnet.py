"""A CIFAR ResNet from a PyTorch ``state_dict`` (He et al. 2016, arXiv:1512.03385, with projection shortcuts).

Names are those of the common implementations: ``conv1``, ``bn1``, ``layerS.U.conv1`` and so on, ``shortcut`` or
``downsample``, ``linear`` or ``fc``. Convolutions mostly have no biases there; they get zeros.
"""

import re
from pathlib import Path

import numpy as np

from models.errors import StoreError
from models.resnet import ResNetArchitecture
from models.torch_vgg import NORM

_STEM = re.compile(r"(conv|bn)1\.(\w+)")
_UNIT = re.compile(r"layer(\d+)\.(\d+)\.(?:(conv|bn)([12])|(?:shortcut|downsample)\.([01]))\.(\w+)")
_HEAD = re.compile(r"(?:linear|fc)\.(weight|bias)")


def is_resnet(names: list[str]) -> bool:
    """Whether these are a ResNet's names, its own mistakes aside."""
    return any(_UNIT.fullmatch(name) for name in names)


def resnet_arrays(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays under our names and in our order of axes.

    Raises:
        StoreError: a name that a CIFAR ResNet does not have.
    """
    ours = {}
    for name, array in arrays.items():
        stem, unit, head = _STEM.fullmatch(name), _UNIT.fullmatch(name), _HEAD.fullmatch(name)
        if head:
            part = "kernel" if head[1] == "weight" else "bias"
            ours[f"logits.dense.{part}"] = array.T
            continue
        if stem:
            layer, norm, part = "stage1", stem[1] == "bn", stem[2]
        elif unit:
            stage, number, kind, which, projection, part = unit.groups()
            norm = kind == "bn" or projection == "1"
            layer = f"unit{stage}_{int(number) + 1}." + {"1": "first", "2": "second", None: "shortcut"}[which]
        else:
            raise StoreError(f"{path} is not a CIFAR ResNet state_dict: it holds {name!r}.")
        if norm:
            ours[f"{layer}.norm.{NORM.get(part, part)}"] = array
        elif part == "weight" and array.ndim == 4:
            ours[f"{layer}.convolution.kernel"] = array.transpose(2, 3, 1, 0)
            ours.setdefault(f"{layer}.convolution.bias", np.zeros(len(array), np.float32))
        else:
            ours[f"{layer}.convolution.{part}"] = array
    return ours


def resnet_architecture(
    path: Path, arrays: dict[str, np.ndarray], name: str, input_size: int | None
) -> ResNetArchitecture:
    """The architecture whose arrays, as :func:`resnet_arrays` gives them, these are; 32x32 if not given.

    Raises:
        StoreError: layers are missing, or the shortcuts have no weights.
    """
    tied: list[int] = []
    inner: list[tuple[int, ...]] = []
    while (kernel := arrays.get(f"unit{len(tied) + 1}_1.second.convolution.kernel")) is not None:
        stage = len(tied) + 1
        tied.append(kernel.shape[3])
        units: list[int] = []
        while (first := arrays.get(f"unit{stage}_{len(units) + 1}.first.convolution.kernel")) is not None:
            units.append(first.shape[3])
        inner.append(tuple(units))
        if stage > 1 and f"unit{stage}_1.shortcut.convolution.kernel" not in arrays:
            raise StoreError(
                f"{path}: layer{stage}.0 has no shortcut.0.weight; a ResNet whose shortcuts pad with zeros "
                "cannot be imported, train one with projections (option B)."
            )
    stem, head = arrays.get("stage1.convolution.kernel"), arrays.get("logits.dense.kernel")
    if not tied or not all(inner) or stem is None or stem.ndim != 4 or head is None or head.ndim != 2:
        raise StoreError(f"{path} is not a CIFAR ResNet: it lacks conv1, a layer's convolutions or linear.")
    size = input_size or 32
    return ResNetArchitecture(
        name, tuple(tied), tuple(inner), int(head.shape[1]), (size, size, int(stem.shape[2]))
    )
