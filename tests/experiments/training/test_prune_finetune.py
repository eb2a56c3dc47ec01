"""``prune-finetune``: what a cycle does, and that an interruption changes nothing."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from engine.errors import OptionError, RunError
from experiments.cli import main
from experiments.data.options import DataOptions
from experiments.training.prune_finetune import PruneFinetuneOptions
from experiments.training.prune_finetune_run import prune_finetune
from fitness.genome import Genome
from fitness.importance.random import random_importance
from fitness.seeding.ranking import remove_least
from models import model_directory
from models.arrays import arrays_of, kernels_of
from models.cost import network_cost
from models.errors import StoreError
from models.networks.vgg import VGGArchitecture
from models.pruning import prune, prune_model
from models.training.settings import TrainingSettings
from tests.models.support.small_networks import filled
from tests.support.command_line import refused

TRAINING = TrainingSettings(epochs=1, batch_size=20, learning_rate=0.01, warmup_epochs=0, augmentation="none")


@pytest.fixture
def options(tiny_data):
    """Half of the 18 convolution filters, five at a time: cycles of 5 and 4."""
    return PruneFinetuneOptions(DataOptions(f"npz:{tiny_data}"), "random", 0.5, 5, TRAINING)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_directory, tiny_data):
    """A finished directory of one cycle without fine-tuning; tests work on copies."""
    chosen = PruneFinetuneOptions(DataOptions(f"npz:{tiny_data}"), "random", 0.5, 9)
    directory = tmp_path_factory.mktemp("finished") / "out"
    prune_finetune(tiny_directory, directory, chosen)
    return directory


def contents(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def rows_of(directory):
    return [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]


def test_a_cycle_without_fine_tuning_is_pruning(tmp_path, options, tiny_model, tiny_directory, tiny_genome):
    chosen = replace(options, step=9, training=None, seed=5)
    result = prune_finetune(tiny_directory, tmp_path / "out", chosen)
    keep = remove_least(np.random.default_rng(6).random(18), tiny_genome.layout, 9)
    expected = prune(tiny_model.network, tiny_genome.layout.split(keep))
    pruned = model_directory.load(tmp_path / "out" / "model")
    assert pruned.network.architecture == expected.architecture
    for name, array in arrays_of(expected).items():
        np.testing.assert_array_equal(arrays_of(pruned.network)[name], array)
    assert pruned.normalisation == tiny_model.normalisation
    assert (result.cycles, result.filters, result.removed_filters) == (1, 9, 9)
    assert (result.parameters, result.macs) == network_cost(expected)
    assert result.accuracy == result.accuracy_before


@pytest.mark.parametrize("training", [None, pytest.param(TRAINING, marks=pytest.mark.slow)])
def test_cycles_go_on_as_if_never_interrupted(tmp_path, options, tiny_directory, training):
    options = replace(options, training=training)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    prune_finetune(tiny_directory, whole, options)
    rows = rows_of(whole)
    assert [row["filters"] for row in rows] == [18, 13, 9]
    assert rows[0]["accuracy"] == rows[0]["accuracy_before"]
    for row in rows:
        assert sum(row["filters_by_layer"].values()) == row["filters"]
        assert row["accuracy"].keys() == {"train", "test"}
    calls = []

    def interrupted(subject):
        calls.append(subject.layout.n_filters)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return random_importance(subject)

    with pytest.raises(KeyboardInterrupt):
        prune_finetune(tiny_directory, broken, options, importance=interrupted)
    assert calls == [18, 13]
    kept = model_directory.load(broken / "cycles" / "1")
    assert kept.notes["cycle"] == rows[1]
    # Killed before the row was written, and while the next model was.
    (broken / "journal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:1]))
    (broken / "cycles" / ".2.half").mkdir()
    prune_finetune(tiny_directory, broken, options)
    assert contents(broken) == contents(whole)
    assert sorted(path.name for path in broken.iterdir()) == [
        ".lock",
        "journal.jsonl",
        "model",
        "prune_finetune.json",
    ]
    # Done is done: the same command changes nothing.
    again = prune_finetune(tiny_directory, broken, options, importance=interrupted)
    assert contents(broken) == contents(whole)
    assert again.filters == 9


def test_other_options_models_and_directories_are_refused(
    tmp_path, options, tiny_model, tiny_directory, finished
):
    out, other = shutil.copytree(finished, tmp_path / "out"), tmp_path / "other"
    chosen = replace(options, training=None, step=9)
    before = contents(out)
    with pytest.raises(OptionError, match=r"remove: 0\.5, now 0\.4"):
        prune_finetune(tiny_directory, out, replace(chosen, remove=0.4))
    model_directory.save(other, replace(tiny_model, network=tiny_model.network.architecture.build(99)))
    with pytest.raises(RunError, match="another model"):
        prune_finetune(other, out, chosen)
    with pytest.raises(StoreError, match="exists already"):
        prune_finetune(tiny_directory, other, chosen)
    assert contents(out) == before
    (out / "journal.jsonl").write_text("")
    with pytest.raises(RunError, match=r"journal\.jsonl lacks cycles"):
        prune_finetune(tiny_directory, out, chosen)


@pytest.mark.parametrize("name", ["prune_finetune.json", "journal.jsonl"])
@pytest.mark.parametrize("content", ["{", "[" * 100_000])
def test_damaged_files_are_named(tmp_path, options, tiny_directory, finished, name, content):
    out = shutil.copytree(finished, tmp_path / "out")
    chosen = replace(options, training=None, step=9)
    (out / name).write_text(content)
    with pytest.raises(RunError, match=f"{name} is damaged; restore it"):
        prune_finetune(tiny_directory, out, chosen)
    assert (out / name).read_text() == content


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (["--method", "odd"], ["--method", "random"]),
        (["--remove", "0"], ["--remove"]),
        (["--remove", "1"], ["--remove"]),
        (["--remove", "0.99"], ["--remove 0.99", "at most 15"]),
        (["--step", "0"], ["--step"]),
        (["--step", "1.5"], ["--step", "1.5"]),
        (["--step", "inf"], ["--step"]),
        (["--epochs-per-step", "-1"], ["--epochs-per-step"]),
        (["--prune", "odd"], ["--prune"]),
        (["--momentum", "2", "--epochs-per-step", "0"], ["--momentum"]),
        (["--data", "digits"], ["8x8x2"]),
    ],
)
def test_bad_options(capsys, tmp_path, tiny_directory, tiny_data, changes, parts):
    arguments = [tiny_directory, tmp_path / "out", "--method", "random", "--data", f"npz:{tiny_data}"]
    refused(capsys, ["prune-finetune", *arguments, *changes], *parts)
    assert not (tmp_path / "out").exists()


def test_the_command_goes_on_where_it_was_and_says_how(
    capsys, monkeypatch, tmp_path, tiny_directory, tiny_data, options
):
    from experiments.training import prune_finetune_run

    arguments = ["prune-finetune", str(tiny_directory), str(tmp_path / "out"), "--data", f"npz:{tiny_data}"]
    arguments += ["--method", "random", "--remove", "0.5", "--step", "0.25", "--epochs-per-step", "0"]
    run_cycle = prune_finetune_run.run_cycle

    def interrupted(model, cycle, *rest):
        if cycle == 2:
            raise KeyboardInterrupt
        return run_cycle(model, cycle, *rest)

    monkeypatch.setattr(prune_finetune_run, "run_cycle", interrupted)
    assert main.run(arguments) == 130
    assert "run the same command again" in capsys.readouterr().err
    monkeypatch.undo()
    assert main.run([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    # A quarter of 18 filters is 4.5, rounded to 4: cycles of 4, 4 and 1, of which two were left.
    assert (result["cycles"], result["removed_filters"]) == (3, 9)
    assert "cycle 2: 10 filters left (until 9)" in captured.err
    assert "cycle 1:" not in captured.err
    assert result["original_accuracy"] == rows_of(tmp_path / "out")[0]["accuracy"]


def test_sensitivities_go_along(tmp_path, options, tiny_model):
    # Its own kernels in the place of the sensitivities: what is cut must stay equal to what is cut.
    network = filled(VGGArchitecture("two", ((4,), (5,)), (), 3, (8, 8, 2), dropout=0.0))
    model = replace(tiny_model, network=network, sensitivity=kernels_of(network))
    smaller = prune_model(model, Genome.of(network).layout.split(np.arange(9) % 3 > 0))
    assert smaller.sensitivity.keys() == model.sensitivity.keys()
    for name, kernel in kernels_of(smaller.network).items():
        np.testing.assert_array_equal(smaller.sensitivity[name], kernel)
    model_directory.save(tmp_path / "sensed", model)
    prune_finetune(tmp_path / "sensed", tmp_path / "out", replace(options, step=5, force=True))
    tuned = model_directory.load(tmp_path / "out" / "model")
    for name, kernel in kernels_of(tuned.network).items():
        assert tuned.sensitivity[name].shape == kernel.shape
        assert not np.array_equal(tuned.sensitivity[name], kernel)
