"""What networks and model directories hold: the ``models`` and ``info`` commands."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.measurement.measuring import read_model
from experiments.progress import Reporter, Silent
from models.classes import Unnamed
from models.contract import Network
from models.cost import network_cost, stage_costs
from models.networks.registry import NETWORKS

_ORIGINS = {
    "finetuned_from": "fine-tuned",
    "pruned_from": "pruned",
    "imported_from": "imported",
    "training": "trained",
}


@dataclass(frozen=True)
class Layer:
    """A stage of the network: its parameters, its MACs for one image, and the filters that a mask can remove.

    Layers that are joined by a shortcut share their filters, which are counted with the first of these layers.
    ``kind`` is ``convolution`` or ``dense``; None where the stage makes no filters of its own.
    """

    name: str
    parameters: int
    macs: int
    filters: int
    kind: str | None


@dataclass(frozen=True)
class ModelDescription:
    """What a model directory holds.

    Attributes:
        network: name of the architecture.
        digest: SHA-256 of architecture, normalisation and weights.
        input_shape: height, width and channels of the images.
        classes: their names; numbers where nobody named them.
        classes_named: whether the model knows names.
        parameters: trainable parameters.
        macs: multiply-accumulates for one image.
        prunable_filters: channels of convolutions that a mask can remove.
        prunable_neurons: neurons of dense layers that a mask can remove.
        origin: ``trained``, ``imported``, ``pruned`` or ``fine-tuned``; None if the directory does not say.
        accuracies: split -> accuracy, correct and total, as measured when the directory was written.
        notes: all that ``model.json`` says of the model's origin.
        layers: the stages of the network.
        remarks: what cannot be pruned or compensated, and why, one sentence for each.
    """

    network: str
    digest: str
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    classes_named: bool
    parameters: int
    macs: int
    prunable_filters: int
    prunable_neurons: int
    origin: str | None
    accuracies: dict[str, dict[str, Any]]
    notes: dict[str, Any]
    layers: tuple[Layer, ...]
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def describe_model(directory: Path, *, reporter: Reporter | None = None) -> ModelDescription:
    """Describe the model in ``directory``; evaluates nothing.

    Raises:
        StoreError: the model cannot be read.
    """
    model = read_model(directory, reporter or Silent())
    network = model.network
    sizes = {
        kind: sum(group.size for group in network.filter_groups if group.kind == kind)
        for kind in ("convolution", "dense")
    }
    parameters, macs = network_cost(network)
    return ModelDescription(
        network=network.architecture.name,
        digest=model.digest(),
        input_shape=network.architecture.input_shape,
        classes=tuple(model.classes),
        classes_named=not isinstance(model.classes, Unnamed),
        parameters=parameters,
        macs=macs,
        prunable_filters=sizes["convolution"],
        prunable_neurons=sizes["dense"],
        origin=next((word for note, word in _ORIGINS.items() if note in model.notes), None),
        accuracies=model.notes.get("accuracies", {}),
        notes=model.notes,
        layers=layers_of(network),
        remarks=tuple(
            str(remark) for kind in ("left_whole", "not_compensated") for remark in getattr(network, kind, ())
        ),
    )


def layers_of(network: Network) -> tuple[Layer, ...]:
    """The stages of a network, in order."""
    left = {group.name: group for group in network.filter_groups}
    layers = []
    for stage, (parameters, macs) in zip(network.stages, stage_costs(network), strict=True):
        # Layers joined by a shortcut share a group, which is listed with the first of them.
        names = dict.fromkeys(name for name in (stage.writes, *stage.groups) if name in left)
        made = [left.pop(name) for name in names if name is not None]
        kind = made[0].kind if made else None
        layers.append(Layer(stage.name, parameters, macs, sum(group.size for group in made), kind))
    return tuple(layers)


def catalogue() -> dict[str, dict[str, Any]]:
    """Parameters, MACs, prunable filters and neurons of each network, for images of its ``input_shape``.

    ``input_shape`` is height, width and channels. ``prunable_filters`` counts the channels of
    convolutions, ``prunable_neurons`` those of hidden dense layers (``prune all``).
    """
    entries = {}
    for name, named in NETWORKS.items():
        network = named().blank()
        parameters, macs = network_cost(network)
        sizes = {
            kind: sum(group.size for group in network.filter_groups if group.kind == kind)
            for kind in ("convolution", "dense")
        }
        entries[name] = {
            "input_shape": list(named.input_shape),
            "parameters": parameters,
            "macs": macs,
            "prunable_filters": sizes["convolution"],
            "prunable_neurons": sizes["dense"],
        }
    return entries
