"""A PyTorch ``state_dict`` in safetensors: the inverse of :mod:`models.torch_vgg`, bit for bit.

``export.json`` lists the modules whose names the arrays have, so that PyTorch can build the network.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save

from models.errors import ExportError
from models.export import description
from models.export.contract import Predict
from models.export.native import predictor
from models.normalisation import Normalisation
from models.state import arrays_of
from models.store import Model
from models.torch_import import import_network
from models.torch_vgg import NORM
from models.vgg import VGGArchitecture

FILE = "state_dict.safetensors"
_MODULES = "modules"


class Torch:
    """See :class:`models.export.contract.Format`."""

    name = "torch"

    def runtime(self) -> str:
        """PyTorch where it is installed; else our import of it, in JAX."""
        try:
            import torch
        except ImportError:
            return f"JAX {jax.__version__}, imported again (PyTorch is not installed)"
        return f"PyTorch {torch.__version__}"

    def files(self, model: Model) -> dict[str, bytes]:
        """See :class:`models.export.contract.Format`."""
        modules = _modules(_vgg(model))
        described = description.describe(model, self.name, FILE, layout="NCHW", **{_MODULES: modules})
        return {FILE: save(state_dict(model)), description.DESCRIPTION: described}

    def load(self, directory: Path) -> Predict:
        """See :class:`models.export.contract.Format`."""
        described = description.read(directory)
        try:
            import torch
            from safetensors.torch import load_file
        except ImportError:
            given = described["input"]
            normalisation = Normalisation(tuple(given["mean"]), tuple(given["std"]))
            return predictor(import_network(directory / FILE, normalisation, input_size=given["shape"][2]))
        network = torch.nn.Module()
        for part, layers in described[_MODULES].items():
            built = [getattr(torch.nn, kind)(*sizes) for kind, *sizes in layers]
            network.add_module(part, torch.nn.Sequential(*built))
        network.load_state_dict(load_file(directory / FILE))
        network.eval()

        def predict(images: np.ndarray) -> np.ndarray:
            inputs = np.ascontiguousarray(description.normalised(described, images))
            with torch.inference_mode():
                features = network.features(torch.from_numpy(inputs))
                return network.classifier(features.flatten(1)).numpy()

        return predict


def state_dict(model: Model) -> dict[str, np.ndarray]:
    """The model's arrays with PyTorch's names, shapes and order of axes.

    Raises:
        ExportError: the network is no VGG.
    """
    architecture = _vgg(model)
    ours = arrays_of(model.network)
    places = _places(architecture)
    arrays: dict[str, np.ndarray] = {}
    for stage, place in places["features"].items():
        arrays[f"features.{place}.weight"] = ours[f"{stage}.convolution.kernel"].transpose(3, 2, 0, 1)
        arrays[f"features.{place}.bias"] = ours[f"{stage}.convolution.bias"]
        if architecture.batch_norm:
            for theirs, name in NORM.items():
                arrays[f"features.{place + 1}.{theirs}"] = ours[f"{stage}.norm.{name}"]
            arrays[f"features.{place + 1}.num_batches_tracked"] = np.array(0, np.int64)
    height, width = architecture.final_size
    for number, (stage, place) in enumerate(places["classifier"].items()):
        matrix = ours[f"{stage}.dense.kernel"].T
        if number == 0:
            matrix = matrix.reshape(len(matrix), height, width, -1).transpose(0, 3, 1, 2)
            matrix = matrix.reshape(len(matrix), -1)
        arrays[f"classifier.{place}.weight"] = matrix
        arrays[f"classifier.{place}.bias"] = ours[f"{stage}.dense.bias"]
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _vgg(model: Model) -> VGGArchitecture:
    architecture = model.network.architecture
    if not isinstance(architecture, VGGArchitecture):
        raise ExportError(
            f"--format torch knows the layout of a VGG, not of {architecture.name}; take --format onnx."
        )
    return architecture


def _modules(architecture: VGGArchitecture) -> dict[str, list[list[Any]]]:
    """Class name and arguments of each PyTorch module, as in torchvision's VGG."""
    features: list[list[Any]] = []
    channels = architecture.input_shape[2]
    for block in architecture.blocks:
        for filters in block:
            features.append(["Conv2d", channels, filters, 3, 1, 1])
            features += [["BatchNorm2d", filters]] if architecture.batch_norm else []
            features.append(["ReLU"])
            channels = filters
        features.append(["MaxPool2d", 2])
    height, width = architecture.final_size
    sizes = [channels * height * width, *architecture.hidden, architecture.classes]
    classifier: list[list[Any]] = []
    for inputs, units in pairwise(sizes):
        classifier += [["Linear", inputs, units], ["ReLU"], ["Dropout", architecture.dropout]]
    return {"features": features, "classifier": classifier[:-2]}


def _places(architecture: VGGArchitecture) -> dict[str, dict[str, int]]:
    """Our stages' names and their places among PyTorch's modules."""
    modules = _modules(architecture)
    convolutions = [
        f"conv{b}_{c}" for b, block in enumerate(architecture.blocks, 1) for c in range(1, len(block) + 1)
    ]
    dense = [*(f"fc{i}" for i in range(1, len(architecture.hidden) + 1)), "logits"]

    def places(part: str, kind: str) -> list[int]:
        return [place for place, (name, *_) in enumerate(modules[part]) if name == kind]

    return {
        "features": dict(zip(convolutions, places("features", "Conv2d"), strict=True)),
        "classifier": dict(zip(dense, places("classifier", "Linear"), strict=True)),
    }
