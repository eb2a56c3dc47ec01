"""A ResNet of units of two convolutions from a PyTorch ``state_dict`` (He et al. 2016, arXiv:1512.03385).

Names are those of the common implementations, for CIFAR and for ImageNet: ``conv1``, ``bn1``, ``layerS.U.conv1``
and so on, ``shortcut`` or ``downsample``, ``linear`` or ``fc``. Convolutions without biases, as in most
implementations, get zeros. Shortcuts are projections, or have no weights and copy channels beside zeros.
"""

import re
from pathlib import Path

import numpy as np

from models.errors import StoreError
from models.networks.resnet import ResNetArchitecture, Shortcuts
from models.stages.copied import selection
from models.torch.facts import EPSILON, THROUGH_ONNX, Facts, settled
from models.torch.norms import NORM, check_statistics

_STEM = re.compile(r"(conv|bn)1\.(\w+)")
_UNIT = re.compile(r"layer(\d+)\.(\d+)\.(?:(conv|bn)([12])|(?:shortcut|downsample)\.([01]))\.(\w+)")
_COPIES = re.compile(r"layer(\d+)\.0\.shortcut\.selection")
_BOTTLENECK = re.compile(r"layer\d+\.\d+\.conv3\.weight")
_HEAD = re.compile(r"(?:linear|fc)\.(weight|bias)")
_FACTS = {"input_size", "epsilon", "stem_stride", "stem_pool"}
SMALL, LARGE = 32, 224
"""Height and width of the images of CIFAR and ImageNet."""


def is_resnet(names: list[str]) -> bool:
    """Whether the names contain those of a ResNet's units."""
    return any(_UNIT.fullmatch(name) for name in names)


def resnet_arrays(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with our names and our order of axes.

    Raises:
        StoreError: a name that such a ResNet does not have.
    """
    ours = {}
    deep = next((name for name in arrays if _BOTTLENECK.fullmatch(name)), None)
    if deep is not None:
        raise StoreError(
            f"{path} holds {deep!r}; a ResNet of bottleneck units, such as ResNet-50, is imported {THROUGH_ONNX}."
        )
    sources: dict[str, str] = {}

    def put(key: str, name: str, array: np.ndarray) -> None:
        if key in sources:
            raise StoreError(
                f"{path} holds both {sources[key]!r} and {name!r}, and a ResNet has one such layer; "
                "leave one out."
            )
        sources[key], ours[key] = name, array

    for name, array in arrays.items():
        stem, unit, head = _STEM.fullmatch(name), _UNIT.fullmatch(name), _HEAD.fullmatch(name)
        copies = _COPIES.fullmatch(name)
        if copies and array.ndim == 4:
            ours[f"unit{copies[1]}_1.shortcut.selection"] = array.transpose(2, 3, 1, 0)
            continue
        if head:
            part = "kernel" if head[1] == "weight" else "bias"
            put(f"logits.dense.{part}", name, array.T)
            continue
        if stem:
            layer, norm, part = "stage1", stem[1] == "bn", stem[2]
        elif unit:
            stage, number, kind, which, projection, part = unit.groups()
            norm = kind == "bn" or projection == "1"
            layer = f"unit{stage}_{int(number) + 1}." + {"1": "first", "2": "second", None: "shortcut"}[which]
        else:
            raise StoreError(
                f"{path} holds {name!r}, which is not of the ResNets that are known by their names; others are "
                f"imported {THROUGH_ONNX}."
            )
        if norm:
            put(f"{layer}.norm.{NORM.get(part, part)}", name, array)
        elif part == "weight" and array.ndim == 4:
            put(f"{layer}.convolution.kernel", name, array.transpose(2, 3, 1, 0))
            ours.setdefault(f"{layer}.convolution.bias", np.zeros(len(array), np.float32))
        else:
            put(f"{layer}.convolution.{part}", name, array)
    return ours


def resnet_of(
    path: Path, state: dict[str, np.ndarray], name: str, facts: Facts, assumed: list[str]
) -> tuple[ResNetArchitecture, dict[str, np.ndarray]]:
    """Architecture and arrays of a network; what the file does not tell joins ``assumed``.

    A first convolution of 3x3 is taken for CIFAR's, of stride 1 and without a pool; a larger one for ImageNet's,
    of stride 2 with a pool.

    Raises:
        StoreError: layers are missing or of another kind, or the facts do not fit.
    """
    arrays = resnet_arrays(path, state)
    check_statistics(path, state)
    tied, inner = _widths(arrays)
    stem, head = arrays.get("stage1.convolution.kernel"), arrays.get("logits.dense.kernel")
    if not tied or not all(inner) or stem is None or stem.ndim != 4 or head is None or head.ndim != 2:
        raise StoreError(f"{path} is not a ResNet: it lacks conv1, a layer's convolutions, or linear or fc.")
    if "stage1.norm.var" not in arrays:
        raise StoreError(
            f"{path} lacks bn1 behind conv1; a ResNet that normalises in front of its convolutions "
            f"(pre-activation) is imported {THROUGH_ONNX}."
        )
    if "unit1_1.shortcut.convolution.kernel" in arrays or stem.shape[3] != tied[0]:
        raise StoreError(
            f"{path} has a projection in layer1.0, or a conv1 of other filters than layer1 has; a ResNet whose "
            f"first shortcut is not the identity is imported {THROUGH_ONNX}."
        )
    kernel = stem.shape[0]
    if stem.shape[1] != kernel or kernel % 2 == 0:
        raise StoreError(
            f"{path} has a conv1 of {kernel}x{stem.shape[1]}; kernels that are not odd and square are imported "
            f"{THROUGH_ONNX}."
        )
    assumed.append("ReLU as the activation")
    shortcuts = _shortcuts(path, arrays, tied, facts, assumed)
    large = kernel > 3
    stride = settled(
        facts.stem_stride, 1 + large, assumed, f"stride {1 + large} in the first convolution (`stem_stride`)"
    )
    pool = settled(
        facts.stem_pool,
        large,
        assumed,
        f"{'a 3x3' if large else 'no'} max pool behind the first convolution (`stem_pool`)",
    )
    epsilon = settled(facts.epsilon, EPSILON, assumed, f"an epsilon of {EPSILON:g} in batch norms (`epsilon`)")
    usual = LARGE if large else SMALL
    size = settled(facts.input_size, usual, assumed, f"images of {usual}x{usual} pixels (`input_size`)")
    architecture = ResNetArchitecture(
        name,
        tied,
        inner,
        int(head.shape[1]),
        (size, size, int(stem.shape[2])),
        stem_kernel=kernel,
        stem_stride=stride,
        stem_pool=pool,
        shortcuts=shortcuts,
        epsilon=epsilon,
    )
    return architecture, arrays


def _widths(arrays: dict[str, np.ndarray]) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Channels that the units of each stage add to, and those within each unit."""
    tied: list[int] = []
    inner: list[tuple[int, ...]] = []
    while (kernel := arrays.get(f"unit{len(tied) + 1}_1.second.convolution.kernel")) is not None:
        stage = len(tied) + 1
        tied.append(kernel.shape[3])
        units: list[int] = []
        while (first := arrays.get(f"unit{stage}_{len(units) + 1}.first.convolution.kernel")) is not None:
            units.append(first.shape[3])
        inner.append(tuple(units))
    return tuple(tied), tuple(inner)


def _shortcuts(
    path: Path, arrays: dict[str, np.ndarray], tied: tuple[int, ...], facts: Facts, assumed: list[str]
) -> Shortcuts:
    """The kind of the shortcuts between stages; copies are added to ``arrays``."""
    later = range(2, len(tied) + 1)
    projected = [s for s in later if f"unit{s}_1.shortcut.convolution.kernel" in arrays]
    stored = [s for s in later if f"unit{s}_1.shortcut.selection" in arrays]
    copied = [s for s in later if s not in projected]
    open_ones = [s for s in copied if s not in stored and tied[s - 1] != tied[s - 2]]
    told = facts.shortcut_zeros
    kind = "a ResNet whose shortcuts are projections" if projected or not copied else "a ResNet of equal widths"
    if stored:
        kind = "a ResNet that stores what its shortcuts copy"
    facts.check_known(_FACTS | ({"shortcut_zeros"} if open_ones else set()), kind)
    if not copied:
        return "projection"
    if projected or (stored and stored != copied):
        raise StoreError(f"{path}: layer{copied[0]}.0 has no shortcut.0.weight, and other layers have one.")
    for s in open_ones:
        if tied[s - 1] < tied[s - 2]:
            raise StoreError(
                f"{path}: layer{s}.0 has no shortcut.0.weight and {tied[s - 1]} channels for the {tied[s - 2]} "
                "of "
                "the layer before; a shortcut can only pad channels with zeros."
            )
    odd = any((tied[s - 1] - tied[s - 2]) % 2 for s in open_ones)
    if odd and told == "around":
        raise StoreError(
            f"`shortcut_zeros` around does not fit {path}, whose layers grow by odd numbers of channels."
        )
    found: Shortcuts = told or ("behind" if odd else "around")
    if copied != stored:
        padded = {"around": "on both sides of", "behind": "behind"}[found]
        beside = f", with zeros {padded} their channels (`shortcut_zeros`)" if open_ones and told is None else ""
        assumed.append(f"shortcuts that take every other row and column, not means of them{beside}")
    for s in copied:
        if s not in stored:
            inputs, filters = tied[s - 2], tied[s - 1]
            zeros = (filters - inputs) // 2 if found == "around" else 0
            arrays[f"unit{s}_1.shortcut.selection"] = selection(inputs, filters, zeros)
    return found
