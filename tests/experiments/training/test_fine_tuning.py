"""``finetune`` and the options that training commands share."""

import json

import numpy as np
import pytest

from experiments.cli import main
from models import model_directory
from models.arrays import arrays_of, kernels_of
from tests.support.command_line import refused


@pytest.fixture
def arguments(smallest_directory, tiny_data, tmp_path):
    """Fine-tuning from the smallest model into ``tuned``, in two steps of 20 images."""
    data = ["--data", f"npz:{tiny_data}", "--augmentation", "none"]
    return [smallest_directory, tmp_path / "tuned", *data, "--batch-size", "20", "--epochs", "1"]


def run(capsys, arguments):
    assert main.run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_rate_of_nearly_nothing_leaves_the_weights(capsys, tmp_path, arguments, smallest_model):
    result = run(capsys, ["finetune", *arguments, "--learning-rate", "1e-45"])
    tuned = model_directory.load(tmp_path / "tuned")
    assert tuned.digest() == smallest_model.digest()
    assert tuned.classes == smallest_model.classes
    assert result["accuracy"] == result["accuracy_before"]
    assert result["split"] == "test"
    assert tuned.notes["finetuned_from"]["model_digest"] == smallest_model.digest()


def test_weights_move_normalisation_stays_and_sensitivity_is_kept(capsys, tmp_path, arguments, smallest_model):
    run(capsys, ["finetune", *arguments, "--track-sensitivity", "--no-nesterov", "--schedule", "constant"])
    tuned = model_directory.load(tmp_path / "tuned")
    assert tuned.normalisation == smallest_model.normalisation
    for name, kernel in kernels_of(tuned.network).items():
        assert not np.array_equal(kernel, arrays_of(smallest_model.network)[name])
        assert np.abs(tuned.sensitivity[name]).max() > 0
    assert (tuned.notes["training"]["nesterov"], tuned.notes["training"]["schedule"]) == (False, "constant")
    refused(capsys, ["finetune", *arguments], "exists already")


def test_what_cannot_be_fine_tuned_is_refused(capsys, tmp_path, arguments):
    refused(capsys, ["finetune", tmp_path / "nothing", *arguments[1:]], "not a model directory")
    refused(capsys, ["finetune", *arguments, "--data", "digits"], "images of", "8x8x2")
    for option, value in {
        "--momentum": "1",
        "--schedule": "linear",
        "--clip-norm": "-1",
        "--learning-rate": "0",
        "--warmup-epochs": "-1",
        "--weight-decay": "nan",
        "--augmentation": "rotate",
        "--optimizer": "adam",
        "--epochs": "0",
        "--batch-size": "0",
    }.items():
        refused(capsys, ["finetune", *arguments, option, value], option)
    assert not (tmp_path / "tuned").exists()
