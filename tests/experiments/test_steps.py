"""Experiments in steps: nothing is computed twice, nothing that is another's is touched."""

import pytest

from engine.errors import RunError
from experiments.steps import Steps


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
    (tmp_path / "out" / "steps" / "a.json").write_text("{")
    with pytest.raises(RunError, match=r"a\.json is damaged"):
        steps.once("a", lambda: 1)
