"""A local run on file systems that lack locks or syncing, and on disks that fail."""

import errno
import os
import stat

import pytest

from engine.errors import RunError
from engine.run.directory import RunDirectory
from engine.stores import atomic
from engine.stores.local import LocalStore

LACKS_LOCKS = ("ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EINVAL", "EPERM")
LACKS_SYNC = ("EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EBADF")
FAILURES = ("EIO", "ENOSPC", "EDQUOT", "EROFS")


def failing(name):
    """A function that fails with an error of the system."""
    number = getattr(errno, name)

    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


def fail_sync(monkeypatch, name, kind):
    """Syncing fails for folders or for files, whichever ``kind`` tells."""
    sync, fail = os.fsync, failing(name)

    def fsync(descriptor):
        return fail() if kind(os.fstat(descriptor).st_mode) else sync(descriptor)

    monkeypatch.setattr("os.fsync", fsync)


@pytest.mark.parametrize("name", LACKS_LOCKS)
def test_a_run_without_locks_goes_on_and_says_that_nothing_keeps_others_out(tmp_path, monkeypatch, name):
    monkeypatch.setattr("fcntl.flock", failing(name))
    run, said = RunDirectory(tmp_path / "run"), []
    for _ in range(2):
        with run.locked(said.append):
            run.begin({}) if not run.begun() else run.rewind(None, pytest.fail)
    assert len(said) == 2
    assert f"{tmp_path / 'run'} has no locks" in said[0]
    assert "nothing keeps a second driver out; run one at a time." in said[0]
    assert os.listdir(tmp_path / "run") == ["run.json"]


@pytest.mark.parametrize("name", ["EIO", "ENOSPC", "EINTR", "ENODEV"])
def test_a_lock_that_fails_otherwise_ends_the_command_and_leaves_nothing(tmp_path, monkeypatch, name):
    monkeypatch.setattr("fcntl.flock", failing(name))
    with pytest.raises(OSError, match=os.strerror(getattr(errno, name))) as said:
        RunDirectory(tmp_path / "run").locked(pytest.fail).__enter__()
    assert said.value.filename == str(tmp_path / "run" / ".lock")
    assert not list(tmp_path.iterdir())


def test_a_lock_file_that_cannot_be_opened_is_no_file_system_without_locks(tmp_path, monkeypatch):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(OSError, match="directory") as said:
        RunDirectory(tmp_path).locked(pytest.fail).__enter__()
    assert said.value.filename == str(tmp_path / ".lock")


def test_a_new_folder_stays_once_it_holds_a_run(tmp_path):
    run = RunDirectory(tmp_path / "run")

    def begin_and_fail():
        with run.locked():
            run.begin({})
            raise KeyError

    with pytest.raises(KeyError):
        begin_and_fail()
    assert run.begun()
    with pytest.raises(KeyError), RunDirectory(tmp_path / "other").locked():
        raise KeyError
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize("kind", [stat.S_ISDIR, stat.S_ISREG])
@pytest.mark.parametrize("name", LACKS_SYNC)
def test_files_are_written_where_nothing_can_be_synced(tmp_path, monkeypatch, name, kind):
    fail_sync(monkeypatch, name, kind)
    store = LocalStore(tmp_path / "deep" / "run")
    store.write("checkpoints/generation-00000001.ckpt", b"content")
    store.append("journal.jsonl", b"line\n")
    store.append("journal.jsonl", b"line\n")
    store.cut_log("journal.jsonl", 5)
    assert store.read("checkpoints/generation-00000001.ckpt") == b"content"
    assert store.read_log("journal.jsonl") == b"line\n"


@pytest.mark.parametrize("name", ["EACCES", "EPERM", "EINVAL"])
def test_files_are_written_where_folders_cannot_be_opened(tmp_path, monkeypatch, name):
    opened, fail = os.open, failing(name)

    def open_files(path, *rest, **named):
        return fail() if os.path.isdir(path) else opened(path, *rest, **named)

    store = LocalStore(tmp_path / "run")
    monkeypatch.setattr("os.open", open_files)
    store.write("run.json", b"{}")
    assert store.read("run.json") == b"{}"


@pytest.mark.parametrize("kind", [stat.S_ISDIR, stat.S_ISREG])
@pytest.mark.parametrize("name", FAILURES)
def test_a_disk_that_fails_is_never_passed_over(tmp_path, monkeypatch, name, kind):
    store = LocalStore(tmp_path)
    fail_sync(monkeypatch, name, kind)
    for write in (lambda: store.write("run.json", b"{}"), lambda: store.append("journal.jsonl", b"{}\n")):
        with pytest.raises(OSError, match=os.strerror(getattr(errno, name))) as said:
            write()
        assert str(said.value.filename).startswith(str(tmp_path))


def test_a_log_whose_disk_is_gone_tells_the_first_error(tmp_path, monkeypatch):
    fail_sync(monkeypatch, "EIO", stat.S_ISREG)
    monkeypatch.setattr(atomic.os, "ftruncate", failing("EROFS"))
    with pytest.raises(OSError, match="Input/output error"):
        LocalStore(tmp_path).append("journal.jsonl", b"{}\n")


@pytest.mark.parametrize("name", ["EXDEV", "EPERM", "ENOTSUP", "EINVAL"])
def test_a_rename_that_is_refused_names_the_file_and_leaves_the_old_one(tmp_path, monkeypatch, name):
    store = LocalStore(tmp_path)
    store.write("run.json", b"old")
    monkeypatch.setattr("os.replace", failing(name))
    with pytest.raises(OSError, match=os.strerror(getattr(errno, name))) as said:
        store.write("run.json", b"new")
    assert said.value.filename == str(tmp_path / "run.json")
    assert os.listdir(tmp_path) == ["run.json"]
    assert store.read("run.json") == b"old"


def test_a_place_that_cannot_hold_a_run_is_refused_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name, kind in (("file", "a file"), ("link", "a link to nothing")):
        with pytest.raises(RunError, match=f"{name} is {kind}; name a new directory"):
            LocalStore(tmp_path / name).check_place()
    for place in (tmp_path / "file" / "run", tmp_path / ("n" * 300)):
        with pytest.raises(OSError, match=r"Not a directory|File name too long") as said:
            LocalStore(place).check_place()
        assert said.value.filename == str(place)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: failing("EROFS")())
    with pytest.raises(OSError, match="Read-only") as said:
        LocalStore(tmp_path / "new" / "run").check_place()
    assert said.value.filename == str(tmp_path / "new" / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
