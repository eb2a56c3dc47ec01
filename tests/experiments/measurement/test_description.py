"""``info``: what a model directory holds."""

import json
from dataclasses import replace

import pytest

from experiments.cli import main
from experiments.measurement.description import describe_model, layers_of
from models import model_directory
from models.cost import network_cost
from models.networks.registry import NETWORKS


def test_sizes_add_up(tiny_directory, tiny_model):
    found = describe_model(tiny_directory)
    assert (found.parameters, found.macs) == network_cost(tiny_model.network)
    assert found.digest == tiny_model.digest()
    assert (found.prunable_filters, found.prunable_neurons) == (18, 9)
    for name, total in (("parameters", found.parameters), ("macs", found.macs), ("filters", 27)):
        assert sum(getattr(layer, name) for layer in found.layers) == total
    assert (found.origin, found.accuracies) == (None, {})


def test_shared_filters_are_counted_once():
    network = NETWORKS["resnet20"]().blank()
    layers = layers_of(network)
    assert sum(layer.filters for layer in layers) == sum(group.size for group in network.filter_groups)
    assert sum(layer.parameters for layer in layers) == 273_258


@pytest.mark.parametrize(
    ("notes", "origin", "shown"),
    [
        (
            {"training": {}, "accuracies": {"test": {"accuracy": 0.5, "correct": 1, "total": 2}}},
            "trained",
            "50.00%",
        ),
        ({"imported_from": "vgg.pt"}, "imported", "imported from vgg.pt"),
        ({"pruned_from": {"parameters": 1000, "macs": 10**6}}, "pruned", "pruned from 1,000 parameters"),
        (
            {"finetuned_from": {}, "training": {}, "data": {"source": "digits", "split": "train", "images": 9}},
            "fine-tuned",
            "trained on 9 images of digits",
        ),
    ],
)
def test_the_origin_is_told(capsys, tmp_path, tiny_model, notes, origin, shown):
    model_directory.save(tmp_path / "model", replace(tiny_model, notes=notes))
    assert main.run(["info", str(tmp_path / "model"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["origin"] == origin
    assert main.run(["info", str(tmp_path / "model")]) == 0
    output = capsys.readouterr().out
    assert shown in output
    assert f"tiny, {origin}, for images of 8x8x2 and 3 classes" in output
    assert "conv" in output
