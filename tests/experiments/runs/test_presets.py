"""Presets: named values of other options, which those that are given win over."""

import json
from dataclasses import asdict, fields

import click
import pytest

from engine.errors import OptionError
from engine.search.settings import SearchSettings
from experiments.cli.commands.search import search
from experiments.cli.main import run as main
from experiments.data.options import DataOptions
from experiments.runs.options import SearchOptions
from experiments.runs.presets import PRESETS, usual_values
from tests.conftest import TINY


def configured(monkeypatch, *arguments):
    """The options that ``evoprune search`` would search with."""
    taken = []

    def start(run_dir, options, backend, reporter):
        taken.append(options)
        raise click.Abort

    monkeypatch.setattr("experiments.runs.search.start_search", start)
    if "--model" not in arguments:
        monkeypatch.setattr("models.model_directory.load_blank", lambda path: TINY.blank())
    monkeypatch.delenv("EVOPRUNE_DATA_DIR", raising=False)
    with pytest.raises(click.Abort):
        search.main(["run", "--model", "m", "--data", "digits", *arguments], standalone_mode=False)
    return taken[0]


def test_the_papers_preset_is_what_the_options_default_to(monkeypatch):
    assert PRESETS["paper"] == {}
    assert configured(monkeypatch, "--preset", "paper") == SearchOptions("m", DataOptions("digits"))


@pytest.mark.parametrize("preset", PRESETS)
def test_values_of_a_preset_are_those_of_options(monkeypatch, preset):
    chosen = configured(monkeypatch, "--preset", preset)
    flat = {**chosen.to_json(), **asdict(chosen.settings)}
    assert {name: flat[name] for name in PRESETS[preset]} == PRESETS[preset]
    names = {field.name for owner in (SearchOptions, SearchSettings) for field in fields(owner)}
    assert set(PRESETS[preset]) <= names


def test_without_a_preset_a_search_is_the_best_that_its_network_allows(monkeypatch, tiny_directory):
    model = ("--model", str(tiny_directory))
    assert configured(monkeypatch, *model) == configured(monkeypatch, *model, "--preset", "quality")
    several = (*model, "--objectives", "accuracy,macs")
    assert configured(monkeypatch, *several) == configured(monkeypatch, *several, "--preset", "front")
    assert usual_values(compensable=False, front=False) == PRESETS["masks"]
    front = usual_values(compensable=False, front=True)
    assert (front.get("compensate"), front["seed_with"]) == (None, PRESETS["masks"]["seed_with"])
    assert front["population_cap"] == PRESETS["front"]["population_cap"]


def test_with_batch_norm_a_search_recalibrates(monkeypatch, tiny_directory, normed_directory, capsys):
    def chosen(model, *arguments):
        return configured(monkeypatch, "--model", str(model), *arguments).compensate

    compensated = ((), ("--preset", "quality"), ("--preset", "front"))
    for arguments in compensated:
        assert chosen(normed_directory, *arguments) == "linear+recalibrate"
    assert capsys.readouterr().err == ""
    for arguments in compensated:
        assert chosen(tiny_directory, *arguments) == "linear"
        assert "tiny has no batch norm that could be recalibrated, so" in capsys.readouterr().err
    assert chosen(normed_directory, "--preset", "masks") == "none"
    assert chosen(normed_directory, "--compensate", "linear") == "linear"
    assert chosen(tiny_directory, "--compensate", "linear") == "linear"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_python_takes_what_the_command_takes(monkeypatch, tiny_directory, normed_directory, preset):
    for model in map(str, (tiny_directory, normed_directory)):
        named = () if preset is None else ("--preset", preset)
        chosen = configured(monkeypatch, "--model", model, *named, "--seed", "7", "--threshold", "3")
        data = DataOptions("digits", seed=7)
        assert SearchOptions.preset(preset, model, data, seed=7, threshold=3.0) == chosen
    with pytest.raises(OptionError, match="`preset` 'best' is none of paper, masks"):
        SearchOptions.preset("best", str(tiny_directory), DataOptions("digits"))


@pytest.mark.parametrize(
    ("option", "value", "where"),
    [
        ("--mutation", "0.01", "without --mutate bits, which --preset paper has"),
        ("--initial-removal", "0.01", "with --climb"),
        ("--latency-batch", "2", "without --objective latency"),
        ("--migrants", "2", "without --islands"),
        ("--migrate-every", "3", "without --islands"),
        ("--workers", "8", "without --backend ray"),
        ("--address", "auto", "without --backend ray"),
    ],
)
@pytest.mark.parametrize("preset", [(), ("--preset", "quality"), ("--preset", "masks")])
def test_options_are_not_left_without_effect(tiny_directory, tmp_path, capsys, option, value, where, preset):
    given = ["search", str(tmp_path / "run"), "--model", str(tiny_directory), "--data", "digits", *preset]
    assert main([*given, option, value]) == 2
    [line] = capsys.readouterr().err.splitlines()[-1:]
    assert f"{option} has no effect {where}" in line
    assert f"leave {option} out" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            [
                "search",
                "run",
                "--data",
                "digits",
                "--model",
                "m",
                "--preset",
                "masks",
                "--compensation-images",
                "9",
            ],
            "--compensation-images has no effect without --compensate",
        ),
        (
            ["score", "m", "masks.npy", "--data", "digits", "--compensation-images", "9"],
            "--compensation-images has no effect without --compensate",
        ),
        (["export", "run", "pruned", "--refit-images", "9"], "--refit-images has no effect without --refit"),
        (["resume", "run", "--workers", "9"], "--workers has no effect without --backend ray"),
        (
            ["train", "model", "--data", "digits", "--model-class", "json:loads", "--model", "vgg11"],
            "--model has no effect with --model-class",
        ),
    ],
)
def test_nor_are_those_of_other_commands(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_options_that_have_their_effect_are_taken(monkeypatch):
    def settings(*arguments):
        return configured(monkeypatch, "--preset", "quality", *arguments).settings

    assert settings("--mutate", "bits", "--mutation", "0.01").mutation == 0.01
    assert settings("--no-climb", "--initial-removal", "0.1").initial_removal == 0.1
    assert settings("--islands", "2", "--migrants", "1").migrants == 1


def test_options_win_over_a_preset(monkeypatch):
    # Whichever comes first on the command line.
    for order in (("--preset", "quality", "--mutate", "bits"), ("--mutate", "bits", "--preset", "quality")):
        assert configured(monkeypatch, *order).settings.mutate == "bits"
        assert configured(monkeypatch, *order).compensate == "linear"
    assert not configured(monkeypatch, "--preset", "quality", "--no-climb").climb


def test_a_config_file_may_name_a_preset_and_wins_over_it(monkeypatch, tmp_path):
    path = tmp_path / "options.toml"
    path.write_text('preset = "quality"\ncrossover = "point"\n')
    chosen = configured(monkeypatch, "--config", str(path))
    assert chosen.settings.crossover == "point"
    assert chosen.compensate == "linear"
    assert configured(monkeypatch, "--config", str(path), "--preset", "paper").compensate == "none"


def test_an_unknown_preset_is_refused(capsys):
    assert main(["search", "run", "--model", "m", "--data", "digits", "--preset", "best"]) == 2
    assert "paper" in capsys.readouterr().err


def test_a_preset_is_recorded_by_its_values(tiny_directory, tiny_data, tmp_path):
    arguments = ["--model", str(tiny_directory), "--data", f"npz:{tiny_data}", "--generations", "0"]
    assert main(["search", str(tmp_path / "run"), *arguments, "--preset", "quality", "--json"]) == 0
    configuration = json.loads((tmp_path / "run" / "run.json").read_text())["configuration"]
    assert configuration["compensate"] == "linear"
    assert configuration["settings"]["mutate"] == PRESETS["quality"]["mutate"]
    assert "preset" not in configuration
    assert main(["resume", str(tmp_path / "run"), "--generations", "1", "--json"]) == 0
