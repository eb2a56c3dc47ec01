"""A PyTorch ``state_dict`` in safetensors: the inverse of :mod:`models.torch.importing`, bit for bit.

``export.json`` lists the modules of a VGG, or the widths of a ResNet (:mod:`models.export.torch_resnet`), so that
PyTorch can build the network.
"""

from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save

from models.arrays import arrays_of
from models.errors import ExportError
from models.export import description
from models.export.contract import Predict
from models.export.native import predictor
from models.export.torch_resnet import resnet_facts, resnet_network, resnet_sizes, resnet_state_dict
from models.model_directory import Model
from models.networks.resnet import ResNetArchitecture
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from models.torch.facts import Facts
from models.torch.importing import import_network
from models.torch.norms import NORM

FILE = "state_dict.safetensors"
_MODULES = "modules"
_RESNET = "resnet"
_IMPORT = "import"
"""Options with which ``import-torch`` reads the file back."""


class Torch:
    """See :class:`models.export.contract.Format`."""

    name = "torch"

    def runtime(self) -> str:
        """PyTorch if it is installed; otherwise the import in JAX."""
        try:
            import torch
        except ImportError:
            return f"JAX {jax.__version__}, imported again (PyTorch is not installed)"
        return f"PyTorch {torch.__version__}"

    def files(self, model: Model) -> dict[str, bytes]:
        """See :class:`models.export.contract.Format`."""
        architecture = _known(model)
        if isinstance(architecture, VGGArchitecture):
            parts: dict[str, Any] = {_MODULES: _modules(architecture), _IMPORT: _vgg_facts(architecture)}
        else:
            parts = {_RESNET: resnet_sizes(architecture), _IMPORT: resnet_facts(architecture)}
        described = description.describe(model, self.name, FILE, layout="NCHW", **parts)
        return {FILE: save(state_dict(model)), description.DESCRIPTION: described}

    def load(self, directory: Path) -> Predict:
        """See :class:`models.export.contract.Format`."""
        described = description.read(directory)
        try:
            import torch
        except ImportError:
            given = described["input"]
            normalisation = Normalisation(tuple(given["mean"]), tuple(given["std"]))
            return predictor(import_network(directory / FILE, normalisation, facts=_facts(described)).model)
        _, logits = torch_network(directory)

        def predict(images: np.ndarray) -> np.ndarray:
            inputs = np.ascontiguousarray(description.normalised(described, images))
            with torch.inference_mode():
                return logits(torch.from_numpy(inputs)).numpy()

        return predict


def torch_network(directory: Path) -> tuple[Any, Any]:
    """The exported network as a ``torch.nn.Module``, and its function from normalised images (NCHW) to logits.

    Raises:
        ImportError: PyTorch is not installed.
        ExportError: the directory holds no export.
    """
    from safetensors.torch import load_file

    described = description.read(directory)
    network, logits = (
        resnet_network(described[_RESNET]) if _RESNET in described else _vgg_network(described[_MODULES])
    )
    network.load_state_dict(load_file(directory / FILE))
    return network.eval(), logits


def _facts(described: dict[str, Any]) -> Facts:
    """What an exported file does not tell of its network; see :class:`models.torch.facts.Facts`."""
    facts: dict[str, Any] = {"input_size": described["input"]["shape"][2], **described[_IMPORT]}
    if "pools_after" in facts:
        facts["pools_after"] = tuple(facts["pools_after"])
    return Facts(**facts)


def _vgg_network(modules: dict[str, list[list[Any]]]) -> tuple[Any, Any]:
    """The ``torch.nn.Module`` that holds the arrays, and the function of images (NCHW) that gives its logits."""
    import torch

    network: Any = torch.nn.Module()
    for part, layers in modules.items():
        built = [getattr(torch.nn, kind)(*sizes) for kind, *sizes in layers]
        network.add_module(part, torch.nn.Sequential(*built))
    return network, lambda images: network.classifier(network.features(images).flatten(1))


def state_dict(model: Model) -> dict[str, np.ndarray]:
    """The model's arrays with PyTorch's names, shapes and order of axes.

    Raises:
        ExportError: the network is neither a VGG nor a ResNet.
    """
    architecture, ours = _known(model), arrays_of(model.network)
    if isinstance(architecture, VGGArchitecture):
        arrays = _vgg_state_dict(architecture, ours)
    else:
        arrays = resnet_state_dict(ours)
    return {name: np.array(array, order="C") for name, array in arrays.items()}


def _vgg_state_dict(architecture: VGGArchitecture, ours: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    places = _places(architecture)
    arrays: dict[str, np.ndarray] = {}
    for stage, place in places["features"].items():
        arrays[f"features.{place}.weight"] = ours[f"{stage}.convolution.kernel"].transpose(3, 2, 0, 1)
        arrays[f"features.{place}.bias"] = ours[f"{stage}.convolution.bias"]
        if architecture.batch_norm:
            for theirs, name in NORM.items():
                arrays[f"features.{place + 1}.{theirs}"] = ours[f"{stage}.norm.{name}"]
            arrays[f"features.{place + 1}.num_batches_tracked"] = np.array(0, np.int64)
    height, width = _read_size(architecture)
    for number, (stage, place) in enumerate(places["classifier"].items()):
        matrix = ours[f"{stage}.dense.kernel"].T
        if number == 0:
            matrix = matrix.reshape(len(matrix), height, width, -1).transpose(0, 3, 1, 2)
            matrix = matrix.reshape(len(matrix), -1)
        arrays[f"classifier.{place}.weight"] = matrix
        arrays[f"classifier.{place}.bias"] = ours[f"{stage}.dense.bias"]
    return arrays


def _known(model: Model) -> VGGArchitecture | ResNetArchitecture:
    architecture = model.network.architecture
    if not isinstance(architecture, VGGArchitecture | ResNetArchitecture):
        raise ExportError(
            f"`format` torch knows the layouts of a VGG and a ResNet, not of {architecture.name}; take `format` "
            "onnx."
        )
    return architecture


def _modules(architecture: VGGArchitecture) -> dict[str, list[list[Any]]]:
    """Class name and arguments of each PyTorch module, as in torchvision's VGG."""
    features: list[list[Any]] = []
    channels = architecture.input_shape[2]
    for block in architecture.blocks:
        for filters in block:
            features.append(["Conv2d", channels, filters, 3, 1, 1])
            features += [["BatchNorm2d", filters, architecture.epsilon]] if architecture.batch_norm else []
            features.append(["ReLU"])
            channels = filters
        features.append(["MaxPool2d", 2])
    if architecture.last_pool != "max":
        features[-1:] = [["AvgPool2d", 2]] if architecture.last_pool == "average" else []
    if architecture.averaged:
        features.append(["AdaptiveAvgPool2d", 1])
    height, width = _read_size(architecture)
    sizes = [channels * height * width, *architecture.hidden, architecture.classes]
    classifier: list[list[Any]] = []
    for inputs, units in pairwise(sizes):
        classifier += [["Linear", inputs, units], ["ReLU"], ["Dropout", architecture.dropout]]
    return {"features": features, "classifier": classifier[:-2]}


def _read_size(architecture: VGGArchitecture) -> tuple[int, int]:
    """Height and width of the map that the first dense layer reads."""
    return (1, 1) if architecture.averaged else architecture.final_size


def _vgg_facts(architecture: VGGArchitecture) -> dict[str, Any]:
    """Options of the import but the input size, as JSON."""
    ends = list(accumulate(map(len, architecture.blocks)))
    facts: dict[str, Any] = {
        "pools_after": ends if architecture.last_pool != "none" else ends[:-1],
        "last_pool": architecture.last_pool,
    }
    if architecture.batch_norm:
        facts["epsilon"] = architecture.epsilon
    return facts | ({"global_average": True} if architecture.averaged else {})


def _places(architecture: VGGArchitecture) -> dict[str, dict[str, int]]:
    """The names of our stages -> their places among PyTorch's modules."""
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
