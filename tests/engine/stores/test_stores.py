"""Stores against a dictionary, locations, and names that are refused."""

import sys
from pathlib import Path

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import RunError, RunStoreError
from engine.stores.base import checked_name
from engine.stores.local import LocalStore
from engine.stores.locations import is_url, open_store

NAMES = (
    "run.json",
    "checkpoints/generation-00000001.ckpt",
    "checkpoints/generation-00000002.ckpt",
    "report/a.png",
)


@pytest.fixture(params=["local", "memory"])
def new_store(request, tmp_path_factory):
    """Makes empty stores of one kind."""
    made = []

    def make():
        number = len(made)
        if request.param == "local":
            made.append(tmp_path_factory.mktemp("store") / "deep" / "run")
        else:
            made.append(f"memory://stores-{number}/run")
        return open_store(made[-1])

    yield make
    if request.param == "memory":
        memory = fsspec.filesystem("memory")
        for url in made:
            if memory.exists(url):
                memory.rm(url, recursive=True)


actions = st.tuples(
    st.sampled_from(["write", "remove", "append", "cut"]), st.sampled_from(NAMES), st.binary(max_size=9)
)


@given(st.lists(actions, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_store_holds_what_was_written_last(new_store, steps):
    store, files, log = new_store(), {}, b""
    for action, name, content in steps:
        if action == "write":
            store.write(name, content)
            files[name] = content
        elif action == "remove":
            store.remove(name)
            files.pop(name, None)
        elif action == "append" and "run.json" in files:
            line = content.replace(b"\n", b"") + b"\n"
            store.append("journal.jsonl", line)
            log += line
        elif action == "cut" and log:
            log = log[: len(content)]
            store.cut_log("journal.jsonl", len(log))
    for found in (store, open_store(store.location)):
        assert found.read_log("journal.jsonl") == log
        assert {name for name in NAMES if found.exists(name)} == files.keys()
        assert {name: found.read(name) for name in files} == files
        assert found.names("checkpoints") == sorted(name for name in files if name.startswith("checkpoints/"))
    for name in set(NAMES) - files.keys():
        with pytest.raises(FileNotFoundError):
            store.read(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "..",
        "../run.json",
        "a/../../b",
        "a//b",
        "a/",
        ".",
        "a/.",
        "a\\b",
        "a\0",
        "s3://b/c",
        "~",
    ],
)
def test_names_stay_inside_the_run(new_store, name):
    store = new_store()
    with pytest.raises(ValueError, match="not the name of a file"):
        checked_name(name)
    for call in (store.read, store.remove, store.exists, store.full_name, lambda name: store.write(name, b"")):
        with pytest.raises(ValueError, match="not the name of a file"):
            call(name)


@pytest.mark.parametrize("location", ["run", "/a/run", "./s3", "a:b/run", Path("run"), "C:run"])
def test_paths_are_paths(location):
    assert isinstance(open_store(location), LocalStore)
    assert open_store(location).location == str(Path(location))
    assert not is_url(location)


def test_a_file_url_is_a_path():
    assert isinstance(open_store("file:///tmp/run"), LocalStore)
    assert open_store("file:///tmp/run").location == "/tmp/run"


@pytest.mark.parametrize(
    ("location", "parts"),
    [
        ("gopherfs://host/run", ["unknown protocol 'gopherfs'", "s3://BUCKET/RUN", "local path"]),
        ("memory://", ["memory:// names no place", "s3://BUCKET/RUN"]),
        ("simplecache::s3://bucket/run", ["chains several URLs", "s3://BUCKET/RUN"]),
        (
            Path("s3://bucket/run"),
            ["s3:/bucket/run is neither a path nor a URL", "s3://BUCKET/RUN", "./s3:/bucket"],
        ),
        (Path("memory://run"), ["memory:/run is neither a path nor a URL"]),
        ("s3:/bucket/run", ["is neither a path nor a URL"]),
        ("file:run", ["is neither a path nor a URL"]),
        ("file://host/run", ["names another machine", "file:///PATH"]),
        ("~/run", ["begins with ~", "./~/run"]),
        ("", ["is empty"]),
    ],
)
def test_locations_that_cannot_be_used(location, parts):
    with pytest.raises(RunStoreError) as said:
        open_store(location)
    for part in parts:
        assert part in str(said.value)


@pytest.mark.parametrize(
    ("url", "package"), [("s3://b/run", "s3fs"), ("gs://b/run", "gcsfs"), ("sftp://h/run", "paramiko")]
)
def test_a_package_that_is_missing_is_named(monkeypatch, url, package):
    # ``fsspec.registry`` is also the name of a mapping in it.
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, url.partition(":")[0], raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    with pytest.raises(RunStoreError, match=f"pip install {package}'"):
        open_store(url)


def test_a_password_in_a_url_is_not_shown(monkeypatch):
    class Remote(fsspec.AbstractFileSystem):
        def __init__(self, **_):
            super().__init__()

        def cat_file(self, path, *_, **__):
            raise ConnectionError("no route")

    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda protocol: Remote)
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url, **_: (Remote(), "/run"))
    store = open_store("ftp://someone:secret@host/run")
    with pytest.raises(RunStoreError) as said:
        store.read("run.json")
    assert "ftp://someone:...@host/run/run.json (ConnectionError: no route)" in str(said.value)
    assert "secret" not in str(said.value)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    store = LocalStore(tmp_path)
    store.write("report/report.md", b"first")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="No space") as said:
        store.write("report/report.md", b"second")
    assert said.value.filename == store.full_name("report/report.md")
    assert store.read("report/report.md") == b"first"
    assert store.names("report") == ["report/report.md"]


def test_files_have_the_permissions_of_ordinary_files(tmp_path):
    store = LocalStore(tmp_path)
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    store.write("run.json", b"")
    store.append("journal.jsonl", b"")
    for name in ("run.json", "journal.jsonl"):
        assert (tmp_path / name).stat().st_mode == ordinary.stat().st_mode


def test_a_file_in_the_place_of_a_run_is_named(new_store):
    store = new_store()
    store.write("run.json", b"")
    with pytest.raises(RunError, match="is a file"):
        open_store(store.full_name("run.json")).check_place()


@pytest.mark.parametrize("leftover", [".clock-0123456789ab", ".run.json.0123456789ab.tmp"])
def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(new_store, leftover):
    store = new_store()
    mine = isinstance(store, LocalStore) == leftover.endswith(".tmp")
    for name in (leftover, "clock-0123456789ab", "run.json"):
        store.write(name, b"")
    store.remove_leftovers()
    assert store.exists(leftover) != mine
    assert store.exists("clock-0123456789ab")
    assert store.exists("run.json")
