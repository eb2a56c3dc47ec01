import json
from pathlib import Path

import pytest

from engine.errors import RunError
from engine.run.directory import RunDirectory
from engine.run.journal import append_line, read_rows
from engine.stores.local import LocalStore
from tests.engine.support.synthetic import LAYOUT, advance, make_search


def recorded(location, generations):
    search = make_search()
    run = RunDirectory.create(location, {"configuration": {}})
    state = search.start()
    run.record(state, LAYOUT, "id", {"seconds": 1.0})
    advance(search, state, generations, lambda state: run.record(state, LAYOUT, "id", {"seconds": 1.0}))
    return run


def test_journal_rows_are_numbered_and_free_of_clocks(location, tmp_path):
    first = recorded(location, 3)
    recorded(tmp_path / "b", 3)
    rows = first.journal()
    assert [row["generation"] for row in rows] == [0, 1, 2, 3]
    assert sum(row["new_evaluations"] for row in rows) == rows[-1]["evaluations"]
    assert rows[0]["stopped"] == 0 < rows[-1]["stopped"] < rows[-1]["evaluations"]
    assert first.store.read_log("journal.jsonl") == (tmp_path / "b" / "journal.jsonl").read_bytes()


def test_a_run_is_never_begun_over_another(location):
    recorded(location, 1)
    with pytest.raises(RunError, match="already holds a run"):
        RunDirectory.create(location, {})
    with pytest.raises(RunError, match="is a file"):
        RunDirectory.create(f"{location}/run.json", {})
    with pytest.raises(RunError, match="holds no run"):
        RunDirectory.open(f"{location}/nothing")


@pytest.mark.parametrize(
    "part", ["run.json", "journal.jsonl", "timings.jsonl", "judgements.jsonl", "checkpoints/x"]
)
def test_any_part_of_a_run_is_in_the_way_of_another(location, put, part):
    put(part, b"")
    with pytest.raises(RunError, match="already holds a run"):
        RunDirectory(location).check_free()


@pytest.mark.parametrize("part", ["initial.ckpt", "result.json"])
def test_a_file_in_the_place_of_one_of_the_run_is_left_alone(location, put, part):
    put(part, b"mine")
    with pytest.raises(RunError, match=f"{part} is in the way"):
        RunDirectory(location).check_free(["result.json"])
    assert RunDirectory(location).store.read(part) == b"mine"


@pytest.mark.parametrize(
    "tail",
    [b"", b'{"generation": 4, "be', b'{"generation": 4, "best": {}}\n', b'{"generation": 4, "best": {}}\n{"gen'],
)
def test_rewind_makes_the_journal_agree_with_the_checkpoint(location, put, tail):
    run = recorded(location, 3)
    whole = run.store.read_log("journal.jsonl")
    put("journal.jsonl", whole + tail)
    run.rewind(run.latest(pytest.fail), pytest.fail)
    assert run.store.read_log("journal.jsonl") == whole
    run.rewind(None, pytest.fail)
    assert run.store.read_log("journal.jsonl") == b""


@pytest.mark.parametrize("kept", [0, 2])
def test_a_journal_that_lost_generations_is_said(location, put, kept):
    run = recorded(location, 3)
    lines = run.store.read_log("journal.jsonl").splitlines(keepends=True)
    put("journal.jsonl", b"".join(lines[:kept]))
    said = []
    run.rewind(run.latest(pytest.fail), said.append)
    [warning] = said
    assert f"lacks {len(lines) - kept} of {len(lines)} generations" in warning
    assert run.store.read_log("journal.jsonl") == b"".join(lines[:kept])


NOT_OURS = [
    ".notes.tmp",
    ".draft.odt.tmp",
    ".0123456789ab.tmp",
    "..0123456789ab.tmp",
    ".run.json.0123456789AB.tmp",
    ".run.json.0123456789ab.tmp~",
    "run.json.0123456789ab.tmp",
    "other/.run.json.0123456789ab.tmp",
    "other/checkpoints/.generation-00000001.ckpt.0123456789ab.tmp",
]


def test_a_run_removes_no_file_of_others(tmp_path):
    """A run may begin among a user's files and beside other runs."""
    for name in NOT_OURS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("kept")
    (tmp_path / ".cache.0123456789ab.tmp").mkdir()
    (tmp_path / ".cache.tmp").mkdir()
    (tmp_path / ".link.0123456789ab.tmp").symlink_to(tmp_path / ".notes.tmp")
    before = set(tmp_path.rglob("*"))
    run = RunDirectory.create(tmp_path, {})
    run.rewind(None, pytest.fail)
    assert set(tmp_path.rglob("*")) - {tmp_path / "run.json"} == before
    assert {(tmp_path / name).read_text() for name in NOT_OURS} == {"kept"}


@pytest.mark.parametrize("name", ["run.json", "checkpoints/generation-00000001.ckpt", "report/report.md"])
def test_a_run_removes_the_temporary_file_of_a_killed_write(tmp_path, monkeypatch, name):
    run = RunDirectory.create(tmp_path, {})

    def died(*_):
        raise OSError("killed")

    with monkeypatch.context() as dying:
        dying.setattr("os.replace", died)
        dying.setattr(Path, "unlink", died)
        with pytest.raises(OSError, match="killed"):
            run.store.write(name, b"half")
    assert len([path for path in tmp_path.rglob(".*") if path.is_file()]) == 1
    run.rewind(None, pytest.fail)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "run.json"]


def test_damage_in_the_journal_or_description_is_named(location, put):
    run = recorded(location, 2)
    lines = run.store.read_log("journal.jsonl").splitlines()
    for damaged in (lines[1][:20], b"[" * 100_000, b"\xff", b"[]", b'{"generation": "1"}'):
        put("journal.jsonl", b"\n".join([lines[0], damaged, lines[2]]) + b"\n")
        with pytest.raises(RunError, match="line 2 of"):
            run.journal()
    for content in ("{", "[]", json.dumps({"format": 99}), "[" * 100_000, "\0"):
        put("run.json", content.encode())
        with pytest.raises(RunError, match=r"run\.json"):
            run.description()


def test_an_append_that_fails_is_cut_off_again(tmp_path, monkeypatch):
    store = LocalStore(tmp_path)
    append_line(store, "journal.jsonl", {"generation": 0, "best": {}})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        append_line(store, "journal.jsonl", {"generation": 1})
    assert read_rows(store, "journal.jsonl") == [{"generation": 0, "best": {}}]


@pytest.mark.parametrize("linked", ["journal.jsonl", "timings.jsonl", "checkpoints", ".lock"])
def test_nothing_is_written_through_links_of_a_run_directory(tmp_path, linked):
    """A link in a run directory from elsewhere may point to any file of the user."""
    run = recorded(tmp_path / "run", 2)
    state = run.latest(pytest.fail).state
    precious = tmp_path / "precious"
    part = Path(run.store.full_name(linked)) if linked != ".lock" else tmp_path / "run" / ".lock"
    if part.is_dir():
        part.rename(precious)
        (precious / ".important.tmp").write_text("kept")
    else:
        precious.write_bytes(part.read_bytes() * 2 if part.exists() else b"kept")
        part.unlink(missing_ok=True)
    part.symlink_to(precious)
    before = contents(precious)
    with pytest.raises(RunError, match="symbolic link"):
        go_on(run, state)
    assert contents(precious) == before


def go_on(run, state):
    with run.locked():
        run.rewind(None, pytest.fail)
        run.record(state, LAYOUT, "id", {})


def contents(path):
    files = path.rglob("*") if path.is_dir() else [path]
    return {file: file.read_bytes() for file in files}
