"""Options are the fields of settings dataclasses; sentences name them as the command line writes them."""

import subprocess
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path

import click
import pytest

from engine.cluster.options import PoolOptions
from engine.options import option
from engine.search.settings import SearchSettings
from experiments.baselines.options import BaselineOptions
from experiments.cli import main
from experiments.cli.commands import SECTIONS, evoprune
from experiments.cli.options import built, options_of, spellings
from experiments.data.options import DataOptions
from experiments.runs.options import SearchOptions
from experiments.runs.presets import PRESETS
from experiments.spelling import Spelling, spelled
from experiments.training.finetune import FINETUNING
from experiments.training.network_options import NetworkOptions
from experiments.training.onnx_importing import ONNXImportOptions
from experiments.training.prune_finetune import PruneFinetuneOptions
from experiments.training.torch_importing import TorchImportOptions
from models.training.settings import TrainingSettings


@dataclass
class Sizes:
    size: int = option(3, "As for `other_size`.", metavar="N")
    other_size: float | None = option(None, "A number.")
    shape: str = option("round", "A shape.", choices=("round", "square"))
    deep: bool = option(False, "Whether it is deep.")
    parts: tuple[float, ...] = option((1.0,), "Numbers.")
    weight: float = field(default=0.5, metadata={"help": "Of Algorithm 1.", "spelling": "lambda"})
    hidden: int = 0


def sizes(*arguments, **changes):
    taken = []

    @click.command()
    @options_of(Sizes, **changes)
    def command(**values):
        taken.append(values)

    command.main(list(arguments), standalone_mode=False)
    return command, taken[0] if taken else None


def test_a_field_becomes_an_option_of_its_type_and_default():
    command, values = sizes()
    assert built(Sizes, values) == Sizes()
    _, values = sizes("--size", "4", "--other-size", "2", "--deep", "--lambda", "1", "--parts", "1,2.5")
    assert built(Sizes, values, hidden=7) == Sizes(4, 2.0, "round", True, (1.0, 2.5), 1.0, 7)
    texts = {parameter.name: (parameter.help, parameter.metavar) for parameter in command.params}
    assert texts["size"] == ("As for --other-size.", "N")
    assert texts["shape"] == ("A shape.", "[round|square]")
    assert "hidden" not in texts


def test_a_command_may_differ_from_the_dataclass():
    changes = {"only": ["weight", "size"], "defaults": {"size": 9}, "helps": {"size": "Mine."}}
    command, values = sizes(
        "--lambda", "2", **changes, renamed={"size": "size_here"}, remarks={"weight": " Yes."}
    )
    assert values == {"weight": 2.0, "size_here": 9}
    assert [parameter.help for parameter in command.params] == ["Of Algorithm 1. Yes.", "Mine."]
    assert spellings(command) == {"weight": Spelling("--lambda"), "size_here": Spelling("--size-here")}


@pytest.mark.parametrize("value", ["1,two", ""])
def test_lists_of_numbers_are_refused_with_an_example(value):
    with pytest.raises(click.BadParameter, match=r"0\.49,0\.48,0\.45"):
        sizes("--parts", value)


# The data decides the classes of a network that is trained from the start; training needs the data's labels.
NO_OPTIONS = {"train": ("match_labels", "labels"), "finetune": ("labels",), "prune-finetune": ("labels",)}


@pytest.mark.parametrize(
    ("name", "owners", "others"),
    [
        ("search", (SearchOptions, SearchSettings, DataOptions, PoolOptions), PRESETS["quality"]),
        ("train", (TrainingSettings, DataOptions, NetworkOptions), {}),
        ("finetune", (TrainingSettings, DataOptions), FINETUNING),
        ("prune-finetune", (PruneFinetuneOptions, DataOptions), {}),
        ("baseline", (BaselineOptions, DataOptions), {}),
        ("import", (ONNXImportOptions,), {}),
        ("import-torch", (TorchImportOptions,), {}),
    ],
)
def test_every_field_is_an_option_with_its_default(name, owners, others):
    command = evoprune.get_command(None, name)
    parameters = {parameter.name: parameter for parameter in command.params}
    assert len(parameters) == len(command.params)
    for owner in owners:
        for each in fields(owner):
            if each.metadata and each.name not in NO_OPTIONS.get(name, ()):
                wanted = others.get(each.name, each.default)
                parameter = parameters[each.name]
                assert parameter.required or parameter.default == wanted, each.name


def test_sentences_name_options():
    known = {"parents": Spelling("--parents"), "climb": Spelling("--climb", "--no-climb")}
    assert spelled("`parents` must be 2, `climb` too.", known) == "--parents must be 2, --climb too."
    assert spelled("give `climb` false, or `other` false.", known) == "give --no-climb, or --other false."
    assert spelled("nothing to spell", {}) == "nothing to spell"


def test_sentences_of_a_search_reach_a_person_without_backquotes(capsys, tiny_directory, tiny_data, tmp_path):
    run = str(tmp_path / "run")
    arguments = ["--model", str(tiny_directory), "--data", f"npz:{tiny_data}", "--split", "test"]
    small = ["--preset", "paper", "--population", "4", "--parents", "2", "--generations", "0"]
    assert main.run(["search", run, *arguments, *small]) == 0
    shown = capsys.readouterr()
    assert "no held-out accuracy: --data npz:" in shown.err
    assert "`" not in shown.err + shown.out
    assert shown.err.startswith("reading the model")


def test_commands_have_their_names():
    for section in SECTIONS.values():
        for name in section:
            assert evoprune.get_command(None, name).name == name
    assert evoprune.get_command(None, "nothing") is None


def test_the_public_api_is_one_import_and_does_not_wait_for_jax():
    program = (
        "import sys, evoprune\n"
        "assert evoprune.DataOptions('digits').split == 'train'\n"
        "assert 'jax' not in sys.modules\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)
    shown = subprocess.run(
        [sys.executable, "-m", "evoprune", "--help"], check=True, cwd=root, capture_output=True, text=True
    )
    assert shown.stdout.startswith("Usage: evoprune ")


def test_every_name_of_the_public_api_is_there():
    import evoprune as api

    assert dir(api) == api.__all__
    for name in api.__all__:
        assert getattr(api, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        api.nothing  # noqa: B018


def test_a_terminal_is_told_that_a_command_is_loading(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    evoprune.get_command(None, "models")
    assert capsys.readouterr().err == "loading\r\x1b[K"
