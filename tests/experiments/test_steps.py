"""Experiments in steps: nothing is computed twice, nothing that is another's is touched."""

import pytest

from engine.errors import RunError
from experiments.kept_results import SUFFIX, KeptResults
from experiments.steps import Steps

DEEP = "[" * 100_000
"""More than the parser can follow."""


def test_a_finished_step_is_not_run_again(tmp_path):
    calls = []

    def work():
        calls.append(1)
        return {"pair": (1, 2.5)}

    first = Steps(tmp_path / "out", {"name": "x"}).once("a", work)
    again = Steps(tmp_path / "out", {"name": "x"}).once("a", work)
    assert first == again == {"pair": [1, 2.5]}
    assert len(calls) == 1


def test_a_step_that_fails_leaves_nothing(tmp_path):
    steps = Steps(tmp_path / "out", {"name": "x"})
    with pytest.raises(ZeroDivisionError):
        steps.once("a", lambda: 1 / 0)
    assert steps.once("a", lambda: 7) == 7


def test_a_folder_of_something_else_is_refused(tmp_path):
    Steps(tmp_path / "out", {"name": "x"})
    with pytest.raises(RunError, match="name a new directory"):
        Steps(tmp_path / "out", {"name": "y"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("kept")
    with pytest.raises(RunError, match="not empty"):
        Steps(tmp_path / "mine", {"name": "x"})
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


def test_a_damaged_step_is_named(tmp_path):
    steps = Steps(tmp_path / "out", {"name": "x"})
    steps.once("a", lambda: 1)
    for damage in ("{", DEEP):
        (tmp_path / "out" / "steps" / "a.json").write_text(damage)
        with pytest.raises(RunError, match=r"a\.json is damaged"):
            steps.once("a", lambda: 1)
    (tmp_path / "out" / "experiment.json").write_text(DEEP)
    with pytest.raises(RunError, match="name a new directory"):
        Steps(tmp_path / "out", {"name": "x"})


def test_a_damaged_part_is_made_again(tmp_path):
    output = tmp_path / "out"
    assert KeptResults(output, {}).once("a", lambda: 1) == 1
    assert KeptResults(output, {}).once("a", lambda: 2) == 1
    for number, damage in enumerate(("{", DEEP)):
        (tmp_path / f"out{SUFFIX}" / "a.json").write_text(damage)
        assert KeptResults(output, {}).once("a", lambda number=number: number) == number
