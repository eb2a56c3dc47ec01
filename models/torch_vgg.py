"""Arrays of a VGG from a PyTorch ``state_dict``: torchvision's layout and that of the common variants for CIFAR.

PyTorch has OIHW kernels, (out, in) matrices and flattens channels first; here kernels are HWIO, matrices
(in, out), and channels flatten last. :mod:`models.export.torch` goes the other way.
"""

import re
from pathlib import Path

import numpy as np

from models.errors import StoreError
from models.vgg import VGGArchitecture

_KEY = re.compile(r"(features|classifier)\.(\d+)\.(weight|bias|running_mean|running_var)")
_SINGLE = re.compile(r"classifier\.(weight|bias)")
POOLED_SIDE = 7
"""torchvision's VGG averages whatever its features leave to 7x7 positions."""
NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
"""What PyTorch calls the arrays of a batch norm, and we."""


def vgg_of(
    path: Path, state: dict[str, np.ndarray], name: str, input_size: int | None
) -> tuple[VGGArchitecture, dict[str, np.ndarray]]:
    """Architecture and arrays of a network from ``features.N.*`` and ``classifier.N.*``, or ``classifier.*``.

    Widths, batch norm and classifier are read off the shapes, the pools off gaps in the numbering (a
    convolution takes two places with its ReLU, three with batch norm; one more is a pool; the last block
    ends in one too). A convolution without bias gets one of zeros. ``input_size`` is needed only where the
    classifier does not tell it. torchvision's adaptive average pool to 7x7 changes nothing at 224x224; at
    other sizes, being linear, it is folded into the first dense layer.

    Raises:
        StoreError: the arrays are not those of a VGG.
    """
    layers = _layers(path, state)
    features, classifier = layers["features"], layers["classifier"]
    convolutions = [index for index, parts in features.items() if parts["weight"].ndim == 4]
    dense = list(classifier.items())
    if not convolutions or not dense:
        raise StoreError(f"{path} is not a VGG: it needs 4-d features.N.weight and 2-d classifier.N.weight.")
    batch_norm = len(convolutions) < len(features)
    blocks = _blocks(path, convolutions, batch_norm, features)
    shapes = [parts["weight"].shape for _, parts in dense]
    if any(len(shape) != 2 for shape in shapes):
        raise StoreError(f"{path} is not a VGG: every classifier.N.weight must be a matrix.")
    last = blocks[-1][-1]
    positions, rest = divmod(shapes[0][1], last)
    side = round(positions**0.5)
    if rest or side * side != positions or side == 0:
        raise StoreError(
            f"{path} is not a VGG on square images: its first dense layer reads {shapes[0][1]} values, which "
            f"is not {last} channels times a square."
        )
    size = input_size or side * 2 ** len(blocks)
    channels = features[convolutions[0]]["weight"].shape[1]
    hidden = tuple(shape[0] for shape in shapes[:-1])
    architecture = VGGArchitecture(name, blocks, hidden, shapes[-1][0], (size, size, channels), batch_norm)
    final = architecture.final_size[0]
    if final != side != POOLED_SIDE:
        raise StoreError(
            f"--input-size {size} leaves {final}x{final} positions before the classifier of {path}, which "
            f"reads {side}x{side}."
        )
    arrays = _feature_arrays(path, features, convolutions, blocks, batch_norm)
    return architecture, arrays | _dense_arrays(dense, side, final)


def _layers(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, dict[int, dict[str, np.ndarray]]]:
    found: dict[str, dict[int, dict[str, np.ndarray]]] = {"features": {}, "classifier": {}}
    for key, array in arrays.items():
        single = _SINGLE.fullmatch(key)
        match = _KEY.fullmatch(f"classifier.0.{single[1]}" if single else key)
        if match is None:
            raise StoreError(
                f"{path} is not a VGG state_dict: {key!r} is neither features.N.* nor classifier.N.*."
            )
        found[match[1]].setdefault(int(match[2]), {})[match[3]] = array
    for parts in found["features"].values():
        if "weight" in parts and parts["weight"].ndim == 4:
            parts.setdefault("bias", np.zeros(len(parts["weight"]), np.float32))
    for part, layers in found.items():
        for index, arrays_of_layer in layers.items():
            if not {"weight", "bias"} <= arrays_of_layer.keys():
                raise StoreError(f"{path} is not a VGG of this kind: {part}.{index} needs weight and bias.")
    return {part: dict(sorted(layers.items())) for part, layers in found.items()}


def _blocks(
    path: Path, convolutions: list[int], batch_norm: bool, features: dict[int, dict[str, np.ndarray]]
) -> tuple[tuple[int, ...], ...]:
    """Filters of each convolution, split where the numbering leaves room for a pool."""
    step = 3 if batch_norm else 2
    blocks: list[list[int]] = [[]]
    for index, following in zip(convolutions, [*convolutions[1:], None], strict=True):
        blocks[-1].append(features[index]["weight"].shape[0])
        if batch_norm and "running_var" not in features.get(index + 1, {}):
            raise StoreError(f"{path} is not a VGG: features.{index} has no batch norm and others have.")
        if following is not None and following - index != step:
            if following - index != step + 1:
                raise StoreError(
                    f"{path} is not a VGG: between features.{index} and features.{following} there is more "
                    "than activation and pooling."
                )
            blocks.append([])
    return tuple(map(tuple, blocks))


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
            raise StoreError(f"{path} is not a VGG: features.{index} has a kernel of {kernel.shape[2:]}.")
        arrays[f"{name}.convolution.kernel"] = kernel.transpose(2, 3, 1, 0)
        arrays[f"{name}.convolution.bias"] = features[index]["bias"]
        if batch_norm:
            for theirs, array in features[index + 1].items():
                arrays[f"{name}.norm.{NORM[theirs]}"] = array
    return arrays


def _dense_arrays(dense: list[tuple[int, dict[str, np.ndarray]]], side: int, final: int) -> dict[str, np.ndarray]:
    arrays = {}
    for i, (_, parts) in enumerate(dense, 1):
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
