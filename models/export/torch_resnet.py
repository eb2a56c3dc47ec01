"""A ResNet for PyTorch: its arrays, as :mod:`models.torch.resnet` reads them, and the network itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.networks.resnet import ResNetArchitecture
from models.torch.norms import NORM

_NORM = {ours: theirs for theirs, ours in NORM.items()}
_LAYERS = {"first": ("conv1", "bn1"), "second": ("conv2", "bn2"), "shortcut": ("shortcut.0", "shortcut.1")}


def resnet_state_dict(ours: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a network with PyTorch's names, shapes and order of axes; its convolutions have biases."""
    arrays: dict[str, np.ndarray] = {}
    for name, array in ours.items():
        stage, *layer, kind, part = name.split(".")
        if part == "selection":
            number = stage.removeprefix("unit").partition("_")[0]
            arrays[f"layer{number}.0.shortcut.selection"] = array.transpose(3, 2, 0, 1)
            continue
        if kind == "dense":
            arrays[f"linear.{'weight' if part == 'kernel' else part}"] = array.T
            continue
        convolution, norm = _places(stage, layer)
        if kind == "norm":
            arrays[f"{norm}.{_NORM[part]}"] = array
            arrays[f"{norm}.num_batches_tracked"] = np.array(0, np.int64)
        elif part == "kernel":
            arrays[f"{convolution}.weight"] = array.transpose(3, 2, 0, 1)
        else:
            arrays[f"{convolution}.bias"] = array
    return arrays


def _places(stage: str, layer: Sequence[str]) -> tuple[str, str]:
    """PyTorch's names of a convolution and of its batch norm."""
    if not layer:
        return "conv1", "bn1"
    number, unit = stage.removeprefix("unit").split("_")
    convolution, norm = _LAYERS[layer[0]]
    prefix = f"layer{number}.{int(unit) - 1}"
    return f"{prefix}.{convolution}", f"{prefix}.{norm}"


def resnet_sizes(architecture: ResNetArchitecture) -> dict[str, Any]:
    """The argument of :func:`resnet_network`, as JSON.

    Each of ``layers`` lists its units as (channels in, between the convolutions, and out). ``stem`` is kernel and
    stride of the first convolution, and whether a max pool follows it.
    """
    layers, inputs = [], architecture.tied[0]
    for outputs, stage in zip(architecture.tied, architecture.inner, strict=True):
        layers.append([[inputs if unit == 0 else outputs, inner, outputs] for unit, inner in enumerate(stage)])
        inputs = outputs
    return {
        "channels": architecture.input_shape[2],
        "stem": [architecture.stem_kernel, architecture.stem_stride, architecture.stem_pool],
        "layers": layers,
        "shortcuts": "projection" if architecture.shortcuts == "projection" else "selection",
        "epsilon": architecture.epsilon,
        "classes": architecture.classes,
    }


def resnet_facts(architecture: ResNetArchitecture) -> dict[str, Any]:
    """Options of the import but the input size, as JSON."""
    return {
        "epsilon": architecture.epsilon,
        "stem_stride": architecture.stem_stride,
        "stem_pool": architecture.stem_pool,
    }


def resnet_network(sizes: Mapping[str, Any]) -> tuple[Any, Any]:
    """The ``torch.nn.Module`` that holds the arrays, and the function of images (NCHW) that gives its logits."""
    import torch
    from torch import nn
    from torch.nn import functional

    def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> Any:
        return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2)

    def norm(channels: int) -> Any:
        return nn.BatchNorm2d(channels, sizes["epsilon"])

    def shortcut(inputs: int, outputs: int, stride: int) -> Any:
        if stride == 1:
            return nn.Sequential()
        if sizes["shortcuts"] == "projection":
            return nn.Sequential(convolution(inputs, outputs, 1, stride), norm(outputs))
        copies = nn.Module()
        copies.register_buffer("selection", torch.zeros(outputs, inputs, 1, 1))
        copies.forward = lambda images: functional.conv2d(images, copies.selection, stride=stride)
        return copies

    network: Any = nn.Module()
    stem = sizes["layers"][0][0][0]
    kernel, stride, pool = sizes["stem"]
    network.conv1, network.bn1 = convolution(sizes["channels"], stem, kernel, stride), norm(stem)
    layers = []
    for number, units in enumerate(sizes["layers"], 1):
        layers.append(nn.ModuleList())
        for place, (inputs, inner, outputs) in enumerate(units):
            unit: Any = nn.Module()
            stride = 2 if number > 1 and place == 0 else 1
            unit.conv1, unit.bn1 = convolution(inputs, inner, stride=stride), norm(inner)
            unit.conv2, unit.bn2 = convolution(inner, outputs), norm(outputs)
            unit.shortcut = shortcut(inputs, outputs, stride)
            layers[-1].append(unit)
        network.add_module(f"layer{number}", layers[-1])
    network.linear = nn.Linear(sizes["layers"][-1][-1][2], sizes["classes"])

    def logits(images: Any) -> Any:
        carry = functional.relu(network.bn1(network.conv1(images)))
        carry = functional.max_pool2d(carry, 3, 2, 1) if pool else carry
        for layer in layers:
            for unit in layer:
                hidden = functional.relu(unit.bn1(unit.conv1(carry)))
                carry = functional.relu(unit.bn2(unit.conv2(hidden)) + unit.shortcut(carry))
        return network.linear(carry.mean((2, 3)))

    return network, logits
