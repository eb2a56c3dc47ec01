"""``finetune`` and the options that training commands share."""

import json
from dataclasses import fields

import numpy as np
import pytest

from experiments import cli
from experiments.commands import evoprune
from models import store
from models.state import arrays_of, kernels_of
from models.training_settings import TrainingSettings
from tests.experiments.test_cli import refused


@pytest.fixture
def arguments(tiny_directory, tiny_data, tmp_path):
    """Fine-tuning from the tiny model into ``tuned``, in two steps of 20 images."""
    data = ["--data", f"npz:{tiny_data}", "--augmentation", "none"]
    return [tiny_directory, tmp_path / "tuned", *data, "--batch-size", "20", "--epochs", "1"]


def run(capsys, arguments):
    assert cli.run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_rate_of_nearly_nothing_leaves_the_weights(capsys, tmp_path, arguments, tiny_model):
    result = run(capsys, ["finetune", *arguments, "--learning-rate", "1e-45"])
    tuned = store.load(tmp_path / "tuned")
    assert tuned.digest() == tiny_model.digest()
    assert tuned.classes == tiny_model.classes
    assert result["accuracy"] == result["accuracy_before"]
    assert result["split"] == "test"
    assert tuned.notes["finetuned_from"]["model_digest"] == tiny_model.digest()


def test_weights_move_normalisation_stays_and_sensitivity_is_kept(capsys, tmp_path, arguments, tiny_model):
    run(capsys, ["finetune", *arguments, "--track-sensitivity", "--no-nesterov", "--schedule", "constant"])
    tuned = store.load(tmp_path / "tuned")
    assert tuned.normalisation == tiny_model.normalisation
    for name, kernel in kernels_of(tuned.network).items():
        assert not np.array_equal(kernel, arrays_of(tiny_model.network)[name])
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


def test_the_options_of_train_have_the_settings_defaults():
    defaults = {parameter.name: parameter.default for parameter in evoprune.commands["train"].params}
    for field in fields(TrainingSettings):
        assert defaults[field.name] == field.default, field.name
