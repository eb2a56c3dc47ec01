"""A run whose process dies at any moment resumes as if it had not died."""

import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from engine.errors import RunStoreError
from engine.run.directory import RunDirectory
from engine.stores.remote import FsspecStore
from tests.engine.support import kill_points


@pytest.mark.parametrize("stride", [19, pytest.param(1, marks=pytest.mark.slow)])
def test_sigkill_before_system_calls_of_a_run(tmp_path, stride):
    """Before every nineteenth call, and in the slow variant before every call."""
    program = [sys.executable, "-m", "tests.engine.support.kill_points", str(tmp_path), str(stride)]
    done = subprocess.run(program, cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Each of 5 generations opens, writes, syncs and closes two logs and a checkpoint, renames, syncs the folder.
    assert int(done.stdout) > 5 * 15


class Dead(BaseException):
    """Not an Exception, so that no handler catches it."""


@pytest.fixture
def memory():
    found = fsspec.filesystem("memory")
    yield found
    if found.exists("/kill-points"):
        found.rm("/kill-points", recursive=True)


def contents(memory, path):
    return {name.removeprefix(path): memory.cat_file(name) for name in memory.find(path)}


def test_death_before_every_request_to_an_object_store(memory, monkeypatch):
    monkeypatch.setattr("engine.stores.segments.LIMIT", 700)
    # So that the lease of the dead is taken over at once.
    monkeypatch.setattr("engine.stores.lease.EXPIRY", -1.0)
    kill_points.search_on("memory://kill-points/whole")
    whole = contents(memory, "/kill-points/whole")
    assert "/journal.000002.jsonl" in whole
    assert "/lease.json" not in whole
    k = 0
    while dies_at(k, f"memory://kill-points/{k}", monkeypatch):
        kill_points.search_on(f"memory://kill-points/{k}")
        assert contents(memory, f"/kill-points/{k}") == whole, k
        k += 1
    assert contents(memory, f"/kill-points/{k}") == whole
    # A journal line, a timing, a checkpoint and its look at the lease, five times.
    assert k > 5 * 5


def dies_at(k, url, monkeypatch):
    """Whether the run died before its ``k``-th request to the store; else it finished."""
    left = k

    def counted(name):
        function = getattr(FsspecStore, name)

        def request(store, *arguments):
            nonlocal left
            if left <= 0:
                raise Dead
            left -= 1
            return function(store, *arguments)

        return request

    with monkeypatch.context() as patch:
        for name in ("write", "create", "remove", "read", "names", "exists", "age"):
            patch.setattr(FsspecStore, name, counted(name))
        try:
            kill_points.search_on(url)
        except Dead:
            return True
    return False


def test_a_store_that_fails_while_saving_ends_the_search_with_a_sentence(memory, monkeypatch):
    run = RunDirectory.create("memory://kill-points/run", {})

    class RefusedError(Exception):
        """Like botocore's errors, no OSError."""

    def refuse(*_, **__):
        raise RefusedError("Access\nDenied.")

    monkeypatch.setattr(type(memory), "pipe_file", refuse)
    with pytest.raises(RunStoreError) as said:
        run.store.append("journal.jsonl", b"{}\n")
    sentence = str(said.value)
    assert "memory://kill-points/run/journal.jsonl (RefusedError: Access Denied)" in sentence
    assert "evoprune resume memory://kill-points/run" in sentence
    monkeypatch.undo()
    run.store.append("journal.jsonl", b"{}\n")
    assert run.store.read_log("journal.jsonl") == b"{}\n"
