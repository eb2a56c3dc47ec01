"""Arrays of a VGG from a PyTorch ``state_dict``: torchvision's layout and that of the common variants for CIFAR.

PyTorch has OIHW kernels, (out, in) matrices, and flattens channels first. Here kernels are HWIO, matrices are
(in, out), and channels flatten last. :mod:`models.export.torch` goes the other way.
"""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from models.errors import StoreError
from models.networks.vgg import VGGArchitecture
from models.torch.facts import EPSILON, THROUGH_ONNX, Facts, settled
from models.torch.names import listed
from models.torch.norms import NORM, check_statistics, folded_into_dense, is_norm
from models.torch.pools import Numbering, pools_of

_KEY = re.compile(r"(feature|classifier)s?\.(\d+)\.(weight|bias|running_mean|running_var)")
_SINGLE = re.compile(r"classifier\.(weight|bias)")
MOST_NUMBERS = 1 << 31
"""Of a dense layer that takes an average in; 8 GiB. torchvision's VGG on 896x896 pixels has 1.6e9."""
_FACTS = {"input_size", "pools_after", "last_pool", "global_average"}


def vgg_of(
    path: Path, state: dict[str, np.ndarray], name: str, facts: Facts, assumed: list[str]
) -> tuple[VGGArchitecture, dict[str, np.ndarray]]:
    """Architecture and arrays of a network from ``features.N.*`` and ``classifier.N.*``, or ``classifier.*``.

    The shapes give widths, batch norm and classifier. A convolution takes two numbers with its ReLU, three with
    batch norm; a number more is a pool or a Dropout (:mod:`models.torch.pools`). A layer without bias gets
    zeros. torchvision's adaptive average pool to 7x7 changes nothing at 224x224; at other sizes it is folded into
    the first dense layer, since it is linear. What the file does not tell joins ``assumed``.

    Raises:
        StoreError: the arrays are not those of a VGG, or the facts do not fit.
    """
    layers = _layers(path, state)
    check_statistics(path, state)
    features, classifier = layers["feature"], layers["classifier"]
    convolutions = [index for index, parts in features.items() if parts["weight"].ndim == 4]
    if not convolutions or not classifier:
        raise StoreError(
            f"{path} is not a VGG: it needs 4-d features.N.weight and 2-d classifier.N.weight; others are "
            f"imported {THROUGH_ONNX}."
        )
    batch_norm = len(convolutions) < len(features)
    normed = batch_norm or any(map(is_norm, classifier.values()))
    kind = "a VGG with batch norm" if normed else "a VGG without batch norm"
    facts.check_known(_FACTS | ({"epsilon"} if normed else set()), kind)
    epsilon = EPSILON if facts.epsilon is None else facts.epsilon
    dense = _dense_layers(path, classifier, epsilon, assumed)
    shapes = [parts["weight"].shape for parts in dense]
    widths = tuple(len(features[index]["weight"]) for index in convolutions)
    side = _side(path, shapes[0][1], widths[-1])
    assumed.append("3x3 convolutions of stride 1, padded with zeros, and ReLU as the activation")
    seen = Numbering(path, widths, _missing(path, convolutions, batch_norm, features), side)
    pools = pools_of(seen, facts, assumed)
    if normed:
        settled(facts.epsilon, EPSILON, assumed, f"an epsilon of {EPSILON:g} in batch norms (`epsilon`)")
    architecture = VGGArchitecture(
        name,
        pools.blocks,
        tuple(shape[0] for shape in shapes[:-1]),
        shapes[-1][0],
        (pools.size, pools.size, features[convolutions[0]]["weight"].shape[1]),
        batch_norm,
        epsilon=epsilon,
        last_pool=pools.last,
        averaged=pools.averaged,
    )
    arrays = _feature_arrays(path, features, convolutions, pools.blocks, batch_norm)
    final = side if pools.averaged else architecture.final_size[0]
    largest = int((MOST_NUMBERS / (shapes[0][0] * widths[-1])) ** 0.5)
    if final > max(side, largest):
        raise StoreError(
            f"`input_size` {pools.size} is too large for {path}: its first dense layer would read "
            f"{final}x{final} positions in place of their average; give `input_size` "
            f"{((largest + 1) << architecture.pools) - 1} or less."
        )
    return architecture, arrays | _dense_arrays(dense, side, final)


def _dense_layers(
    path: Path, classifier: dict[int, dict[str, np.ndarray]], epsilon: float, assumed: list[str]
) -> list[dict[str, np.ndarray]]:
    """The dense layers of a classifier, with their batch norms folded in."""
    norms = [f"classifier.{index}" for index, parts in classifier.items() if is_norm(parts)]
    if norms:
        classifier = folded_into_dense(path, classifier, epsilon)
        assumed.append(f"{listed(norms)} folded into the dense layer before, as a batch norm")
    if any(parts["weight"].ndim != 2 for parts in classifier.values()):
        raise StoreError(
            f"{path} is not a VGG: every classifier.N.weight must be a matrix, or of a batch norm; others are "
            f"imported {THROUGH_ONNX}."
        )
    for before, after in pairwise(classifier):
        if not 2 <= after - before <= 3:
            raise StoreError(
                f"{path} is not a VGG: between the dense layers of its classifier there must be an activation, "
                f"and no more than a Dropout beside it; others are imported {THROUGH_ONNX}."
            )
    return list(classifier.values())


def _side(path: Path, inputs: int, channels: int) -> int:
    """Height and width of the map that a classifier of so many ``inputs`` reads."""
    positions, rest = divmod(inputs, max(1, channels))
    side = round(positions**0.5)
    if rest or side * side != positions or side == 0:
        raise StoreError(
            f"{path} is not a VGG on square images: its first dense layer reads {inputs} values, which "
            f"is not {channels} channels times a square; others are imported {THROUGH_ONNX}."
        )
    return side


def _missing(
    path: Path, convolutions: list[int], batch_norm: bool, features: dict[int, dict[str, np.ndarray]]
) -> tuple[int, ...]:
    """Numbers that are missing behind each convolution but the last."""
    step = 3 if batch_norm else 2
    if batch_norm:
        for index in convolutions:
            if "running_var" not in features.get(index + 1, {}):
                raise StoreError(
                    f"{path} is not a VGG: features.{index} has no batch norm right behind it and others have; "
                    f"others are imported {THROUGH_ONNX}."
                )
    missing = []
    for index, following in pairwise(convolutions):
        missing.append(following - index - step)
        if not 0 <= missing[-1] <= 2:
            raise StoreError(
                f"{path} is not a VGG: between features.{index} and features.{following} there is more or less "
                f"than an activation, a pool and a Dropout; others are imported {THROUGH_ONNX}."
            )
    return tuple(missing)


def _layers(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, dict[int, dict[str, np.ndarray]]]:
    found: dict[str, dict[int, dict[str, np.ndarray]]] = {"feature": {}, "classifier": {}}
    for key, array in arrays.items():
        single = _SINGLE.fullmatch(key)
        match = _KEY.fullmatch(f"classifier.0.{single[1]}" if single else key)
        if match is None:
            raise StoreError(
                f"{path} is not a VGG or a ResNet whose names are known: {key!r} is neither features.N.* nor "
                f"classifier.N.*; others are imported {THROUGH_ONNX}."
            )
        found[match[1]].setdefault(int(match[2]), {})[match[3]] = array
    for parts in (*found["feature"].values(), *found["classifier"].values()):
        if "weight" in parts and parts["weight"].ndim > 1:
            parts.setdefault("bias", np.zeros(len(parts["weight"]), np.float32))
    names = {"feature": "features", "classifier": "classifier"}
    for part, layers in found.items():
        for index, arrays_of_layer in layers.items():
            if not {"weight", "bias"} <= arrays_of_layer.keys():
                raise StoreError(
                    f"{path} is not a VGG of this kind: {names[part]}.{index} needs weight and "
                    f"bias; networks with other layers are imported {THROUGH_ONNX}."
                )
    return {part: dict(sorted(layers.items())) for part, layers in found.items()}


def _feature_arrays(
    path: Path,
    features: dict[int, dict[str, np.ndarray]],
    convolutions: list[int],
    blocks: tuple[tuple[int, ...], ...],
    batch_norm: bool,
) -> dict[str, np.ndarray]:
    names = [f"conv{b}_{c}" for b, block in enumerate(blocks, 1) for c in range(1, len(block) + 1)]
    arrays = {}
    for name, index in zip(names, convolutions, strict=True):
        kernel = features[index]["weight"]
        if kernel.shape[2:] != (3, 3):
            height, width = kernel.shape[2:]
            raise StoreError(
                f"{path} has a kernel of {height}x{width} in features.{index}, and a VGG has 3x3; others are "
                f"imported {THROUGH_ONNX}."
            )
        arrays[f"{name}.convolution.kernel"] = kernel.transpose(2, 3, 1, 0)
        arrays[f"{name}.convolution.bias"] = features[index]["bias"]
        if batch_norm:
            for theirs, array in features[index + 1].items():
                arrays[f"{name}.norm.{NORM[theirs]}"] = array
    return arrays


def _dense_arrays(dense: list[dict[str, np.ndarray]], side: int, final: int) -> dict[str, np.ndarray]:
    arrays = {}
    for i, parts in enumerate(dense, 1):
        name = "logits" if i == len(dense) else f"fc{i}"
        matrix = parts["weight"]
        if i == 1:
            matrix = matrix.reshape(len(matrix), -1, side, side)
            if final != side:
                pool = _adaptive_average(final, side)
                matrix = np.einsum("uckl,kh,lw->uchw", matrix, pool, pool, optimize=True)
            matrix = matrix.transpose(0, 2, 3, 1).reshape(len(matrix), -1)
        arrays[f"{name}.dense.kernel"] = matrix.T
        arrays[f"{name}.dense.bias"] = parts["bias"]
    return arrays


def _adaptive_average(inputs: int, outputs: int) -> np.ndarray:
    """``float32[outputs, inputs]``: PyTorch's adaptive average pool along one axis, as a matrix."""
    matrix = np.zeros((outputs, inputs), np.float32)
    for row in range(outputs):
        first, end = row * inputs // outputs, -(-(row + 1) * inputs // outputs)
        matrix[row, first:end] = 1 / (end - first)
    return matrix
