"""The template of docs/own-networks.md is trained, searched, exported and evaluated."""

import json
import re
from pathlib import Path

import pytest

from experiments.benchmarks.speed import speed_comparison
from experiments.cli import main
from models.tracing import factories

PAGE = (Path(__file__).parents[3] / "docs" / "own-networks.md").read_text()


@pytest.fixture
def my_network(tmp_path, monkeypatch):
    [template] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "my_network.py").write_text(template)
    (tmp_path / "fixed.py").write_text(template.replace("self.dropout(x)", "self.dropout(x).reshape(-1, 24)"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return ["--model-class", "my_network:network"]


@pytest.mark.slow
def test_the_template_goes_all_the_way(my_network, monkeypatch, capsys):
    data = ["--data", "digits", "--images", "100"]
    hardly_trained = "--force"
    quick = ["--epochs", "1", "--batch-size", "50", "--augmentation", "none"]
    assert main.run(["train", "mine", *my_network, *data, *quick]) == 0
    few = ["--preset", "paper", "--population", "3", "--parents", "2", "--generations", "1", "--mutation", "0.05"]
    few += ["--initial-removal", "0.3", "--threshold", "90"]
    assert main.run(["search", "run", "--model", "mine", *my_network, *data, *few, hardly_trained]) == 0
    # What is done by default can be done with it.
    usual = ["--generations", "1", hardly_trained]
    assert main.run(["search", "usual", "--model", "mine", *my_network, *data, *usual]) == 0
    assert json.loads(Path("usual/run.json").read_text())["configuration"]["compensate"] == "linear+recalibrate"
    assert main.run(["export", "usual", "refitted", *my_network, "--refit", "--refit-images", "100"]) == 0
    capsys.readouterr()
    assert main.run(["export", "run", "pruned", *my_network, "--json"]) == 0
    exported = json.loads(capsys.readouterr().out)
    assert exported["parameter_drop"] > 0
    assert main.run(["report", "run", *my_network, "--json"]) == 0
    assert "--model-class my_network:network" in json.loads(capsys.readouterr().out)["command"]
    assert main.run(["evaluate", "pruned", *my_network, "--data", "digits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == exported["parameters"]
    # Another process in which nobody named the code.
    monkeypatch.setattr(factories, "_FACTORIES", {})
    assert main.run(["evaluate", "pruned", "--data", "digits"]) == 2
    assert "give --model-class my_network:network." in capsys.readouterr().err


@pytest.mark.slow
def test_every_command_that_reads_a_network_takes_its_code(my_network, monkeypatch, capsys):
    data = ["--data", "digits", "--images", "50"]
    quick = ["--batch-size", "25", "--augmentation", "none"]
    assert main.run(["train", "mine", *my_network, *data, *quick, "--epochs", "1"]) == 0
    monkeypatch.setattr(speed_comparison, "ROUND_SECONDS", 0.001)
    weights = Path("mine/weights.safetensors").read_bytes()
    capsys.readouterr()
    for command in (
        ["finetune", "mine", "tuned", *data, *quick, "--epochs", "1"],
        ["prune-finetune", "mine", "cycles", "--method", "random", *data, *quick, "--step", "0.25", "--force"],
        ["baseline", "mine", "--methods", "magnitude,taylor,random-search", "--budget", "5", *data, "--force"],
        ["bench", "mine", "mine", "--rounds", "1", "--batches", "2"],
    ):
        there = sorted(Path().rglob("*"))
        monkeypatch.setattr(factories, "_FACTORIES", {})
        assert main.run(command) == 2
        assert "give --model-class my_network:network." in capsys.readouterr().err
        assert sorted(Path().rglob("*")) == there
        assert main.run([*command, *my_network, "--json"]) == 0, capsys.readouterr().err
        result = json.loads(capsys.readouterr().out)
        if command[0] == "bench":
            assert result["timings"][0]["runtime"] == "JAX"
        if command[0] == "baseline":
            assert list(result["methods"]) == ["magnitude", "taylor", "random-search"]
        if command[0] == "prune-finetune":
            assert (result["cycles"], result["removed_filters"]) == (1, 20)
    assert Path("mine/weights.safetensors").read_bytes() == weights
    assert Path("tuned/weights.safetensors").read_bytes() != weights


def test_code_that_fixes_sizes_is_refused_before_training(my_network, capsys):
    options = ["--data", "digits", "--images", "50", "--epochs", "1"]
    assert main.run(["train", "mine", "--model-class", "fixed:network", *options]) == 2
    assert "fixes sizes in its own code" in capsys.readouterr().err
    assert not Path("mine").exists()
