"""``import-torch`` says what it took from a checkpoint, for people and for programs."""

import json

import numpy as np
import pytest

from experiments.cli import main
from tests.models.support.torch_files import save
from tests.models.torch.test_torch_import import state_dict
from tests.support.command_line import refused, result_of

G = ["--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2"]


@pytest.fixture
def checkpoint(tmp_path):
    raw = state_dict()
    average = {f"module.{name}": 2 * array for name, array in raw.items()}
    return save({"model": raw, "model_ema": average, "epoch": 3}, tmp_path / "checkpoint.pth")


def test_the_weights_that_were_taken_are_said_and_an_option_takes_others(capsys, checkpoint, tmp_path):
    usual = result_of(capsys, "import-torch", checkpoint, tmp_path / "usual", *G)
    assert usual["assumed"][0] == "the weights are those of 'model', not of 'model_ema' (`weights`)"
    assert json.loads((tmp_path / "usual" / "model.json").read_text())["assumed"] == usual["assumed"]
    average = result_of(capsys, "import-torch", checkpoint, tmp_path / "ema", *G, "--weights", "model_ema")
    assert average["assumed"] == usual["assumed"][1:]
    assert main.run(["import-torch", str(checkpoint), str(tmp_path / "lines"), *G]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first == "assumed: the weights are those of 'model', not of 'model_ema' (--weights)"


def test_a_key_that_is_not_there_is_refused_and_nothing_is_left(capsys, checkpoint, tmp_path):
    arguments = ["import-torch", checkpoint, tmp_path / "model", *G, "--weights", "best"]
    refused(capsys, arguments, "has no network under --weights 'best'; choose 'model', 'model_ema'")
    assert [found.name for found in tmp_path.iterdir()] == [checkpoint.name]


def test_a_normalisation_layer_that_differs_is_refused_or_forced(capsys, tmp_path):
    layer = {
        "norm.mean": np.full((1, 3, 1, 1), 0.25, np.float32),
        "norm.std": np.full((1, 3, 1, 1), 0.2, np.float32),
    }
    file = save({**layer, **state_dict()}, tmp_path / "vgg.pt")
    arguments = ["import-torch", file, tmp_path / "model"]
    refused(
        capsys, [*arguments, *G], "'norm.mean', 'norm.std'", "give --mean 0.25,0.25,0.25 and --std 0.2,0.2,0.2"
    )
    assert [found.name for found in tmp_path.iterdir()] == [file.name]
    assert "another normalisation than" in " ".join(result_of(capsys, *arguments, *G, "--force")["assumed"])
