"""Faults of the machine: one sentence, and how to go on."""

import os
import subprocess
import sys

import click
import pytest

from engine.errors import DataError
from experiments.cli import main
from experiments.cli.interruption import interruptible


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_NUM_CPU_DEVICES", "abc"),
        pytest.param("JAX_ENABLE_X64", "maybe", marks=pytest.mark.slow),
        pytest.param("JAX_DEFAULT_MATMUL_PRECISION", "no", marks=pytest.mark.slow),
    ],
)
def test_a_variable_that_jax_does_not_take_is_named(name, value, tiny_directory, tiny_data):
    command = [sys.executable, "-m", "evoprune", "evaluate", str(tiny_directory), "--data", f"npz:{tiny_data}"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {name: value})
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"JAX does not take its environment variable {name} (" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (
            OSError(95, "Operation not supported", "a/run.json"),
            ["a/run.json: Operation not supported", "file system"],
        ),
        (OSError(28, "No space left on device"), ["the output: No space left on device", "free some space"]),
        (MemoryError(), ["memory ran out", "--batch-size"]),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."), ["memory ran out"]),
        (RuntimeError("can't start new thread"), ["no more threads", "ulimit -u"]),
    ],
)
def test_a_fault_of_the_machine_is_one_sentence(capsys, monkeypatch, error, parts):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("experiments.runs.watching.status.read_status", fail)
    assert main.run(["status", "run"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for part in parts:
        assert part in said


def test_a_folder_that_is_gone_is_the_cause_of_what_fails_there(capsys, monkeypatch, tmp_path, tiny_directory):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for command in ("info", "status", "export"):
        assert main.run([command, "here", *["there"][: command == "export"]]) == 2
        assert "evoprune: error: the current folder is gone; change to a folder" in capsys.readouterr().err
    # What needs no current folder works.
    assert main.run(["models"]) == 0
    assert main.run(["info", str(tiny_directory)]) == 0


def test_how_to_go_on_is_asked_for_faults_of_the_machine_alone(capsys):
    """A run's store may be far away, and the sentence on bad input needs no word on how to go on."""

    @click.command()
    @click.argument("fault")
    def work(fault):
        with interruptible(lambda: asked.append(fault) or "start again."):
            raise {"disk": OSError(28, "No space left on device", "run.json"), "data": DataError("no images.")}[
                fault
            ]

    asked = []
    assert [main.run([fault], work) for fault in ("data", "disk")] == [2, 2]
    assert asked == ["disk"]
    assert capsys.readouterr().err.splitlines() == [
        "evoprune: error: no images.",
        "evoprune: error: cannot write or read run.json: No space left on device; free some space; start again.",
    ]
