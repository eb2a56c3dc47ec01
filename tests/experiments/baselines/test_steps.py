"""Steps of long commands: nothing is computed twice, and no folder of something else is touched."""

import pytest

from engine.errors import RunError
from experiments.baselines.steps import SUFFIX, Steps, TemporarySteps

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
    Steps(tmp_path / "out", {"name": "x"}).once("a", lambda: 1)
    with pytest.raises(RunError, match="name a new directory"):
        Steps(tmp_path / "out", {"name": "y"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("kept")
    with pytest.raises(RunError, match="not empty"):
        Steps(tmp_path / "mine", {"name": "x"})
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


def test_an_experiment_that_failed_before_its_first_step_can_begin_with_other_options(tmp_path):
    with pytest.raises(ZeroDivisionError):
        Steps(tmp_path / "out", {"name": "x"}).once("a", lambda: 1 / 0)
    assert Steps(tmp_path / "out", {"name": "y"}).once("a", lambda: 2) == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "experiment.json").write_text("of something else")
    with pytest.raises(RunError, match="name a new directory"):
        Steps(tmp_path / "mine", {"name": "x"})


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


def test_a_damaged_or_foreign_result_of_a_temporary_step_is_computed_again(tmp_path):
    output = tmp_path / "out"
    assert TemporarySteps(output, {}).once("a", lambda: 1) == 1
    assert TemporarySteps(output, {}).once("a", lambda: 2) == 1
    for number, damage in enumerate(("{", DEEP)):
        (tmp_path / f"out{SUFFIX}" / "steps" / "a.json").write_text(damage)
        assert TemporarySteps(output, {}).once("a", lambda number=number: number) == number
    assert TemporarySteps(output, {"other": 1}).once("a", lambda: 5) == 5
    assert TemporarySteps(output, {}).once("a", lambda: 6) == 6
    TemporarySteps(output, {}).remove()
    assert not list(tmp_path.iterdir())


def test_without_an_output_nothing_is_kept_and_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        TemporarySteps(tmp_path / "out", {}).once("a", lambda: 1 / 0)
    steps = TemporarySteps(None, {})
    assert [steps.once("a", lambda: 1), steps.once("a", lambda: 2)] == [1, 2]
    assert not list(tmp_path.iterdir())
