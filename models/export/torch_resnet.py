"""A CIFAR ResNet for PyTorch: its arrays, as :mod:`models.torch_resnet` reads them, and the network itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.resnet import ResNetArchitecture
from models.torch_vgg import NORM

_NORM = {ours: theirs for theirs, ours in NORM.items()}
_LAYERS = {"first": ("conv1", "bn1"), "second": ("conv2", "bn2"), "shortcut": ("shortcut.0", "shortcut.1")}


def resnet_state_dict(ours: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a network with PyTorch's names, shapes and order of axes; its convolutions have biases."""
    arrays: dict[str, np.ndarray] = {}
    for name, array in ours.items():
        stage, *layer, kind, part = name.split(".")
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
    """What :func:`resnet_network` builds from, as JSON.

    Each of ``layers`` lists its units as (channels in, between the convolutions, and out).
    """
    layers, inputs = [], architecture.tied[0]
    for outputs, stage in zip(architecture.tied, architecture.inner, strict=True):
        layers.append([[inputs if unit == 0 else outputs, inner, outputs] for unit, inner in enumerate(stage)])
        inputs = outputs
    return {"channels": architecture.input_shape[2], "layers": layers, "classes": architecture.classes}


def resnet_network(sizes: Mapping[str, Any]) -> tuple[Any, Any]:
    """The ``torch.nn.Module`` that holds the arrays, and the function of images (NCHW) that gives its logits."""
    from torch import nn
    from torch.nn import functional

    def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> Any:
        return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2)

    network: Any = nn.Module()
    stem = sizes["layers"][0][0][0]
    network.conv1, network.bn1 = convolution(sizes["channels"], stem), nn.BatchNorm2d(stem)
    layers = []
    for number, units in enumerate(sizes["layers"], 1):
        layers.append(nn.ModuleList())
        for place, (inputs, inner, outputs) in enumerate(units):
            unit: Any = nn.Module()
            stride = 2 if number > 1 and place == 0 else 1
            unit.conv1, unit.bn1 = convolution(inputs, inner, stride=stride), nn.BatchNorm2d(inner)
            unit.conv2, unit.bn2 = convolution(inner, outputs), nn.BatchNorm2d(outputs)
            projection = [convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)] if stride > 1 else []
            unit.shortcut = nn.Sequential(*projection)
            layers[-1].append(unit)
        network.add_module(f"layer{number}", layers[-1])
    network.linear = nn.Linear(sizes["layers"][-1][-1][2], sizes["classes"])

    def logits(images: Any) -> Any:
        carry = functional.relu(network.bn1(network.conv1(images)))
        for layer in layers:
            for unit in layer:
                hidden = functional.relu(unit.bn1(unit.conv1(carry)))
                carry = functional.relu(unit.bn2(unit.conv2(hidden)) + unit.shortcut(carry))
        return network.linear(carry.mean((2, 3)))

    return network, logits
