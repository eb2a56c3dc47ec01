"""The command line as a user meets it: results, and one clear sentence for each mistake."""

import builtins
import json
import os
import re
import shutil

import numpy as np
import pytest

from experiments.cli import main
from experiments.cli.commands import SECTIONS
from experiments.runs.presets import PRESETS
from tests.support.command_line import refused

PAPER = {
    "vgg16": {"parameters": 15_245_130, "macs": 313_725_952, "prunable_filters": 4_224},
    "vgg19": {"parameters": 20_554_826, "macs": 398_660_608, "prunable_filters": 5_504},
}


@pytest.fixture(scope="module")
def search_arguments(tiny_directory, tiny_data):
    small = [
        "--preset",
        "paper",
        "--population",
        "4",
        "--parents",
        "2",
        "--mutation",
        "0.1",
        "--threshold",
        "30",
        "--generations",
        "2",
    ]
    return ["--model", str(tiny_directory), "--data", f"npz:{tiny_data}", *small]


@pytest.fixture(scope="module")
def searched(tmp_path_factory, search_arguments):
    """A finished search of two generations; tests work on copies."""
    run = tmp_path_factory.mktemp("runs") / "run"
    assert main.run(["search", str(run), *search_arguments]) == 0
    return run


@pytest.fixture
def run_directory(searched, tmp_path):
    return shutil.copytree(searched, tmp_path / "run")


def test_models_json_is_one_object_with_the_papers_counts(capsys):
    assert main.run(["models", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    for name, figures in PAPER.items():
        assert figures.items() <= result[name].items()


@pytest.mark.parametrize("command", [name for section in SECTIONS.values() for name in section])
def test_help_gives_an_example_and_fits_80_columns(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    assert main.run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example: evoprune {command}" in shown
    assert all(len(line) <= 80 for line in shown.splitlines() if not line.startswith("Example"))


def test_search_shows_ten_options_first_and_the_defaults_that_apply(capsys):
    assert main.run(["search", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    first = shown[shown.index("Start here:") : shown.index("What to search:")]
    assert len(re.findall(r"--[a-z-]+ (?=[A-Z\[])", first)) == 10
    for title in (
        "The algorithm:",
        "Objective:",
        "Compensation and finish:",
        "Where it runs:",
        "Output and input:",
    ):
        assert title in shown
    assert f"(paper: 50) [default: {PRESETS['quality']['population']}]" in shown


def test_the_path_from_search_to_report(capsys, tmp_path, search_arguments, tiny_data, tiny_directory, undrawn):
    run, pruned = tmp_path / "run", tmp_path / "pruned"
    results = {}
    np.save(tmp_path / "masks.npy", np.ones((2, 18), bool))
    commands = {
        "search": [run, *search_arguments],
        "resume": [run, "--generations", "3"],
        "status": [run],
        "export": [run, pruned],
        "evaluate": [pruned, "--data", f"npz:{tiny_data}"],
        "score": [tiny_directory, tmp_path / "masks.npy", "--data", f"npz:{tiny_data}", "--images", "7"],
        "report": [run],
    }
    for command, arguments in commands.items():
        capsys.readouterr()
        assert main.run([command, *map(str, arguments), "--json"]) == 0
        results[command] = json.loads(capsys.readouterr().out)
    best = {"score", "accuracy_drop", "parameter_drop", "mac_drop", "parameters", "macs", "sha256"}
    for command in ("search", "resume", "status"):
        assert {"generation", "evaluations", "stopped", "complete", "best"} <= results[command].keys()
        assert best <= results[command]["best"].keys()
    assert results["resume"]["generation"] == results["status"]["generation"] == 3
    assert {"parameters", "macs", "max_logit_difference"} <= results["export"].keys()
    assert {"accuracy", "correct", "total", "parameters", "macs"} <= results["evaluate"].keys()
    assert {"correct", "total", "seconds", "compile_seconds"} <= results["score"].keys()
    assert results["score"]["total"] == 7
    assert len(set(results["score"]["correct"])) == 1
    for command, arguments in commands.items():
        if command in ("status", "evaluate", "score"):
            assert main.run([command, *map(str, arguments)]) == 0
            assert capsys.readouterr().out


def test_islands_are_shown(capsys, tmp_path, search_arguments):
    arguments = ["search", str(tmp_path / "run"), *search_arguments, "--islands", "2", "--migrate-every", "1"]
    assert main.run([*arguments, "--migrants", "1"]) == 0
    captured = capsys.readouterr()
    assert "2 islands at " in captured.err
    chosen = json.loads((tmp_path / "run" / "run.json").read_text())["configuration"]["settings"]
    assert (chosen["islands"], chosen["migrate_every"], chosen["migrants"]) == (2, 1, 1)
    assert main.run(["status", str(tmp_path / "run"), "--json"]) == 0
    scores = [island["highest_score"] for island in json.loads(capsys.readouterr().out)["islands"]]
    assert len(scores) == 2
    assert f"highest scores of the islands {scores[0]:.4f}, {scores[1]:.4f}\n" in captured.out


def test_training_on_a_file_of_ones_own(capsys, tmp_path, untrained):
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(8) % 2)
    arguments = ["--data", f"npz:{tmp_path}/own.npz", "--model", "lenet5", "--width-multiplier", "0.1"]
    arguments += ["--epochs", "1"]
    assert main.run(["train", str(tmp_path / "model"), *arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["total"] == 8
    assert json.loads((tmp_path / "model" / "model.json").read_text())["accuracies"]["train"]["total"] == 8
    refused(capsys, ["train", tmp_path / "model", *arguments], "exists already")
    refused(capsys, ["train", tmp_path / "b", *arguments, "--model", "vgg17"], "--model", "vgg16")
    refused(capsys, ["train", tmp_path / "b", *arguments, "--epochs", "0"], "--epochs")
    refused(capsys, ["train", tmp_path / "b", *arguments, "--image-size", "0"], "--image-size")
    refused(
        capsys, ["train", tmp_path / "b", *arguments, "--model", "vgg11", "--image-size", "1"], "--image-size"
    )
    assert not (tmp_path / "b").exists()


def test_a_config_file_gives_options_and_the_command_line_wins(capsys, tmp_path, tiny_directory, tiny_data):
    config = tmp_path / "run.toml"
    config.write_text(
        f'model = "{tiny_directory}"\ndata = "npz:{tiny_data}"\npreset = "paper"\npopulation = 4\nparents = 2\n'
        "generations = 1\nthreshold = 30\nlambda = 0.25\npopulation-cap = 7\nstop-early = false\n"
    )
    assert main.run(["search", str(tmp_path / "a"), "--config", str(config), "--generations", "2"]) == 0
    chosen = json.loads((tmp_path / "a" / "run.json").read_text())["configuration"]
    assert (chosen["generations"], chosen["threshold"], chosen["weight"]) == (2, 30.0, 0.25)
    assert (chosen["settings"]["population"], chosen["settings"]["population_cap"]) == (4, 7)
    assert chosen["settings"]["stop_early"] is False
    raced = ["--config", str(config), "--stop-early", "--race", "0.05"]
    assert main.run(["search", str(tmp_path / "raced"), *raced]) == 0
    chosen = json.loads((tmp_path / "raced" / "run.json").read_text())["configuration"]
    assert (chosen["settings"]["stop_early"], chosen["settings"]["race"]) == (True, 0.05)
    config.write_text(config.read_text() + "mutation_rate = 3\n")
    refused(capsys, ["search", tmp_path / "b", "--config", config], "--config", "mutation_rate")
    config.write_text(f'model = "{tiny_directory}"\ndata = "npz:{tiny_data}"\ngenerations = 2.7\n')
    refused(capsys, ["search", tmp_path / "b", "--config", config], "--config", "generations")
    for wrong in ("finish = 0", "climb = 0.5", "data = true", "stop-early = true\nstop_early = false"):
        config.write_text(wrong)
        refused(
            capsys,
            ["search", tmp_path / "b", "--config", config],
            "--config",
            "true or false" if "0" in wrong else "",
        )
    config.write_text("\ufeffbatches = 4\n", encoding="utf-8")
    refused(capsys, ["bench", tmp_path / "b", tmp_path / "b", "--config", config], "is not a model directory")
    config.write_text("model = [")
    refused(capsys, ["search", tmp_path / "b", "--config", config], "not TOML")
    refused(capsys, ["search", tmp_path / "b", "--config", tmp_path / "nothing.toml"], "nothing.toml")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (["--model", "nowhere"], ["nowhere", "not a model directory"]),
        (["--data", "cifar11"], ["--data", "cifar10"]),
        (["--data", "npz:nowhere.npz"], ["nowhere.npz"]),
        (["--threshold", "-1"], ["--threshold"]),
        (["--threshold", "two"], ["--threshold"]),
        (["--parents", "5"], ["--parents 5", "--population 4"]),
        (["--mutation", "2"], ["--mutation"]),
        (["--lambda", "7"], ["--lambda"]),
        (["--epsilon", "0"], ["--epsilon"]),
        (["--generations", "-1"], ["--generations"]),
        (["--images", "0"], ["--images"]),
        (["--images", "41"], ["--images 41"]),
        (["--split", "validation"], ["--split"]),
        (["--pairing", "odd"], ["--pairing"]),
        (["--prune", "odd"], ["--prune"]),
        (["--batch-size", "0"], ["--batch-size"]),
        (["--backend", "cloud"], ["--backend"]),
        (["--workers", "0"], ["--workers"]),
        (["--cpus-per-worker", "0"], ["--cpus-per-worker"]),
        (["--seed", "-1"], ["--seed"]),
        (["--islands", "0"], ["--islands must be 1 or more"]),
        (["--islands", "2", "--migrate-every", "0"], ["--migrate-every must be 1 or more"]),
        (["--islands", "2", "--migrants", "9", "--population-cap", "9"], ["--migrants 9", "--population-cap 9"]),
        (["--race", "1"], ["--race", "0 (none)"]),
        (["--race", "0.1", "--no-stop-early"], ["--race 0.1", "--no-stop-early"]),
        (["--race", "0.1", "--threshold", "0.1", "--epsilon", "0.1"], ["--race 0.1", "--epsilon"]),
        (["--unheard-of"], ["--unheard-of"]),
    ],
)
def test_bad_options_of_search(capsys, tmp_path, search_arguments, changes, parts):
    refused(capsys, ["search", tmp_path / "run", *search_arguments, *changes], *parts)
    assert not (tmp_path / "run").exists()


def test_data_that_does_not_fit(capsys, tmp_path, search_arguments):
    rng = np.random.default_rng(0)

    def data(shape, labels):
        np.savez(tmp_path / "odd.npz", images=rng.integers(0, 256, shape, dtype=np.uint8), labels=labels)
        return [*search_arguments, "--data", f"npz:{tmp_path}/odd.npz"]

    run = tmp_path / "run"
    refused(capsys, ["search", run, *data((4, 9, 8, 2), np.zeros(4, int))], "9x8x2", "8x8x2")
    refused(capsys, ["search", run, *data((4, 8, 8, 2), np.full(4, 3))], "label 3", "3 classes")
    refused(capsys, ["search", run, *data((4, 8, 8, 2), np.full(4, -1))], "label")
    refused(capsys, ["search", run, *data((4, 8, 8, 2), np.zeros(5, int))], "labels")
    refused(capsys, ["search", run, *data((0, 8, 8, 2), np.zeros(0, int))], "no images")
    assert not run.exists()


def test_run_directories_are_never_overwritten(capsys, run_directory, search_arguments):
    before = {path: path.read_bytes() for path in run_directory.rglob("*") if path.is_file()}
    refused(capsys, ["search", run_directory, *search_arguments], "already holds a run", "resume")
    assert {path: path.read_bytes() for path in run_directory.rglob("*") if path.is_file()} == before


def test_directories_that_hold_no_run(capsys, tmp_path):
    for command in (["resume"], ["status"], ["report"]):
        refused(capsys, [*command, tmp_path / "nothing"], "holds no run")
    refused(capsys, ["export", tmp_path / "nothing", tmp_path / "pruned"], "holds no run")


def test_a_checkpoint_cut_in_half_is_named_and_passed_over(capsys, run_directory):
    newest = max((run_directory / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    capsys.readouterr()
    assert main.run(["status", str(run_directory), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["generation"] == 1
    assert str(newest) in captured.err
    assert "damaged" in captured.err
    for path in (run_directory / "checkpoints").iterdir():
        path.write_bytes(b"")
    capsys.readouterr()
    assert main.run(["resume", str(run_directory)]) == 2
    *named, last = capsys.readouterr().err.strip().splitlines()
    assert "every checkpoint" in last
    assert len(named) == 3


def test_ray_that_is_not_installed(capsys, monkeypatch, tmp_path, search_arguments):
    importing = builtins.__import__

    def without_ray(name, *rest):
        if name.split(".")[0] == "ray":
            raise ImportError("No module named 'ray'")
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    refused(
        capsys,
        ["search", tmp_path / "run", *search_arguments, "--backend", "ray"],
        "--backend ray",
        "pip install",
    )
    assert not (tmp_path / "run").exists()
    assert main.run(["search", str(tmp_path / "run"), *search_arguments]) == 0


def test_a_full_disk_costs_nothing_that_was_saved(capsys, monkeypatch, run_directory):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(
        capsys,
        ["resume", run_directory, "--generations", "4"],
        "No space left",
        f"free some space; continue with 'evoprune resume {run_directory}'.",
    )
    monkeypatch.undo()
    assert main.run(["resume", str(run_directory), "--generations", "4"]) == 0


@pytest.mark.parametrize("content", [b"", b"not an array", b"PK\x03\x04 cut", None])
def test_masks_that_cannot_be_read(capsys, tmp_path, tiny_directory, tiny_data, content):
    path = tmp_path / "masks.npy"
    if content is not None:
        path.write_bytes(content)
    refused(capsys, ["score", tiny_directory, path, "--data", f"npz:{tiny_data}"], "masks.npy")


@pytest.mark.parametrize(
    "masks", [np.array(True), np.ones((2, 17), bool), np.ones((2, 18)) / 2, np.ones((0, 18), bool)]
)
def test_masks_that_do_not_fit(capsys, tmp_path, tiny_directory, tiny_data, masks):
    np.save(tmp_path / "masks.npy", masks)
    refused(
        capsys, ["score", tiny_directory, tmp_path / "masks.npy", "--data", f"npz:{tiny_data}"], "bool[n, 18]"
    )


def test_no_pickle_is_read(capsys, tmp_path, tiny_directory, tiny_data):
    np.save(tmp_path / "masks.npy", np.array([object()], dtype=object), allow_pickle=True)
    refused(capsys, ["score", tiny_directory, tmp_path / "masks.npy", "--data", f"npz:{tiny_data}"], "masks.npy")


def test_an_interrupt_says_how_to_go_on(capsys, monkeypatch, tmp_path, search_arguments):
    from engine.search.loop import Search

    step = Search.step

    def interrupted(search, state):
        if state.generation == 1:
            raise KeyboardInterrupt
        return step(search, state)

    monkeypatch.setattr(Search, "step", interrupted)
    run = tmp_path / "run"
    assert main.run(["search", str(run), *search_arguments]) == 130
    assert f"evoprune resume {run}" in capsys.readouterr().err
    monkeypatch.undo()
    assert main.run(["resume", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"] is True
