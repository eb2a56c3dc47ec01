"""Two drivers on one run: real processes on a local directory, and a driver that lost its lease."""

import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from engine.errors import RunError
from engine.run.directory import RunDirectory
from engine.stores.locations import open_store
from tests.engine.support.synthetic import LAYOUT, make_search

ROOT = Path(__file__).parents[3]
HOLDER = """
import sys
from engine.run.directory import RunDirectory
with RunDirectory(sys.argv[1]).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def drivers():
    """Starts processes that hold a run until they are killed or their input ends."""
    started = []

    def start(run):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(run)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize("end", ["killed", "finished"])
def test_a_second_driver_is_refused_at_once_and_may_go_on_after_the_first(tmp_path, drivers, end):
    first = drivers(tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(RunError, match=r"another process is at work on .*run; wait for it or stop it first"):
        run.locked().__enter__()
    assert first.poll() is None
    if end == "killed":
        first.send_signal(signal.SIGKILL)
    else:
        first.communicate()
    first.wait()
    with run.locked():
        pass


def test_two_names_of_one_directory_are_one_run(tmp_path, drivers):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    drivers(tmp_path / "run")
    for name in (tmp_path / "link", f"file://{tmp_path}/run", f"{tmp_path}/./run/"):
        with pytest.raises(RunError, match="another process"):
            RunDirectory(name).locked().__enter__()


def test_a_driver_that_lost_its_lease_writes_nothing_more(monkeypatch):
    """The first driver sleeps through its expiry, the second takes over; then the first wakes up."""
    url = "memory://locks/run"
    memory = fsspec.filesystem("memory")
    search = make_search()
    first, second = RunDirectory.create(url, {}), RunDirectory(url)
    holding = first.locked()
    holding.__enter__()
    state = search.start()
    first.record(state, LAYOUT, "id", {})
    with pytest.raises(RunError, match="at work"):
        second.locked().__enter__()
    monkeypatch.setattr("engine.stores.lease.EXPIRY", -1.0)
    with second.locked():
        monkeypatch.undo()
        second.rewind(second.latest(pytest.fail), pytest.fail)
        before = {name: memory.cat_file(name) for name in memory.find("/locks")}
        state = search.step(state)
        for write in (lambda: first.record(state, LAYOUT, "id", {}), lambda: first.rewind(None, pytest.fail)):
            with pytest.raises(RunError, match="has taken over memory://locks/run"):
                write()
        assert {name: memory.cat_file(name) for name in memory.find("/locks")} == before
        holding.__exit__(None, None, None)
        second.record(state, LAYOUT, "id", {})
    assert not open_store(url).exists("lease.json")
    memory.rm("/locks", recursive=True)


def test_a_lease_lost_between_journal_and_checkpoint_costs_no_checkpoint(monkeypatch):
    url = "memory://locks-between/run"
    run = RunDirectory.create(url, {})
    search = make_search()
    state = search.start()
    with run.locked():
        run.record(state, LAYOUT, "id", {})
        append = run.store.append

        def append_and_lose(name, line):
            append(name, line)
            run.store.write("lease.json", b'{"owner": "other", "host": "elsewhere", "pid": 5}')

        monkeypatch.setattr(run.store, "append", append_and_lose)
        with pytest.raises(RunError, match=r"\(5 on elsewhere\) has taken over"):
            run.record(search.step(state), LAYOUT, "id", {})
        assert run.latest(pytest.fail).state.generation == 0
    assert run.store.exists("lease.json")
    fsspec.filesystem("memory").rm("/locks-between", recursive=True)
