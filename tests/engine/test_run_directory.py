import json

import pytest

from engine.errors import RunError
from engine.journal import append_line, read_rows
from engine.run_directory import RunDirectory
from tests.engine.synthetic import LAYOUT, make_search


def recorded(path, generations):
    search = make_search()
    run = RunDirectory.create(path, {"configuration": {}})
    state = search.start()
    run.record(state, LAYOUT, "id", {"seconds": 1.0})
    search.run(state, generations, lambda state: run.record(state, LAYOUT, "id", {"seconds": 1.0}))
    return run


def test_journal_rows_are_numbered_and_free_of_clocks(tmp_path):
    first, second = recorded(tmp_path / "a", 3), recorded(tmp_path / "b", 3)
    rows = first.journal()
    assert [row["generation"] for row in rows] == [0, 1, 2, 3]
    assert sum(row["new_evaluations"] for row in rows) == rows[-1]["evaluations"]
    assert rows[0]["stopped"] == 0 < rows[-1]["stopped"] < rows[-1]["evaluations"]
    assert first.journal_path.read_bytes() == second.journal_path.read_bytes()


def test_a_run_is_never_begun_over_another(tmp_path):
    recorded(tmp_path / "run", 1)
    with pytest.raises(RunError, match="already holds a run"):
        RunDirectory.create(tmp_path / "run", {})
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        RunDirectory.create(tmp_path / "file", {})
    with pytest.raises(RunError, match="holds no run"):
        RunDirectory.open(tmp_path / "nothing")


@pytest.mark.parametrize(
    "tail",
    [b"", b'{"generation": 4, "be', b'{"generation": 4, "best": {}}\n', b'{"generation": 4, "best": {}}\n{"gen'],
)
def test_rewind_makes_the_journal_agree_with_the_checkpoint(tmp_path, tail):
    run = recorded(tmp_path / "run", 3)
    whole = run.journal_path.read_bytes()
    with open(run.journal_path, "ab") as file:
        file.write(tail)
    run.rewind(run.latest(pytest.fail))
    assert run.journal_path.read_bytes() == whole
    run.rewind(None)
    assert run.journal_path.read_bytes() == b""


def test_damage_in_the_journal_or_description_is_named(tmp_path):
    run = recorded(tmp_path / "run", 2)
    lines = run.journal_path.read_text().splitlines()
    run.journal_path.write_text("\n".join([lines[0], lines[1][:20], lines[2]]) + "\n")
    with pytest.raises(RunError, match="line 2 of"):
        run.journal()
    for content in ("{", "[]", json.dumps({"format": 99})):
        run.description_path.write_text(content)
        with pytest.raises(RunError, match=r"run\.json"):
            run.description()


def test_an_append_that_fails_is_cut_off_again(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    append_line(path, {"generation": 0, "best": {}})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        append_line(path, {"generation": 1})
    assert read_rows(path) == [{"generation": 0, "best": {}}]
