"""Runs at URLs: the same search as in a local directory, through every command that takes a run."""

import json
import secrets
from dataclasses import asdict
from pathlib import Path

import fsspec
import pytest

from engine.cluster.options import PoolOptions
from engine.errors import OptionError, RunError
from engine.run.codec import encode
from engine.run.directory import RunDirectory
from engine.stores.locations import open_store
from engine.stores.remote import FsspecStore
from experiments.cli import main
from experiments.report.run import make_report
from experiments.runs.exporting.export import export_run
from experiments.runs.options import Backend
from experiments.runs.search import resume_search, start_search
from experiments.runs.watching.status import read_status
from tests.support.runs import options_for, traces


@pytest.fixture
def url():
    name = secrets.token_hex(8)
    yield f"memory://{name}/run"
    memory = fsspec.filesystem("memory")
    if memory.exists(f"/{name}"):
        memory.rm(f"/{name}", recursive=True)


@pytest.fixture
def options(tiny_directory, tiny_data):
    def make(generations=6):
        return options_for(tiny_directory, tiny_data, generations=generations)

    return make


def test_a_run_at_a_url_is_the_run_in_a_directory(url, options, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.stores.segments.LIMIT", 1500)
    here = start_search(tmp_path / "run", options())
    assert start_search(url, options()) == here
    assert traces(url) == traces(tmp_path / "run")
    assert open_store(url).exists("journal.000001.jsonl")
    assert read_status(url) == read_status(tmp_path / "run")
    exported = [export_run(run, tmp_path / name) for run, name in ((tmp_path / "run", "a"), (url, "b"))]
    assert exported[0] == exported[1]
    assert (tmp_path / "a/weights.safetensors").read_bytes() == (tmp_path / "b/weights.safetensors").read_bytes()
    reports = [make_report(tmp_path / "run"), make_report(url)]
    assert reports[0]["measurements"] == reports[1]["measurements"]
    assert reports[1]["report"] == f"{url}/report/report.md"
    for name in ("report.md", "table.json", "mac_drop.png"):
        assert open_store(url).read(f"report/{name}") == (tmp_path / "run" / "report" / name).read_bytes()


def test_interrupted_and_resumed_it_is_still_the_same(url, options, tmp_path):
    start_search(tmp_path / "run", options())
    start_search(url, options(0))
    resume_search(url, generations=3)
    assert resume_search(url, generations=6).complete
    assert traces(url) == traces(tmp_path / "run")


def test_a_run_can_be_moved_to_a_store_and_back(url, options, tmp_path):
    def copy(source, target):
        for name in (
            [*source.names(""), *source.names("checkpoints")] if source.location == url else local(source)
        ):
            target.write(name, source.read(name))

    def local(store):
        root = Path(store.location)
        return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]

    start_search(tmp_path / "whole", options())
    start_search(tmp_path / "one", options(2))
    with open(tmp_path / "one" / "journal.jsonl", "ab") as file:
        file.write(b'{"generation": 3, "be')
    copy(open_store(tmp_path / "one"), open_store(url))
    resume_search(url, generations=4)
    copy(open_store(url), open_store(tmp_path / "two"))
    assert resume_search(tmp_path / "two", generations=6).complete
    assert traces(tmp_path / "two") == traces(tmp_path / "whole")


def test_a_store_that_fails_while_saving_ends_with_one_sentence_and_loses_nothing(
    url, options, capsys, monkeypatch, tmp_path
):
    start_search(tmp_path / "run", options())
    start_search(url, options(2))
    memory = fsspec.filesystem("memory")
    write = type(memory).pipe_file

    def unreachable(files, path, value, **named):
        if "00000004.ckpt" in path:
            raise ConnectionResetError(104, "Connection reset by peer")
        write(files, path, value, **named)

    monkeypatch.setattr(type(memory), "pipe_file", unreachable)
    capsys.readouterr()
    assert main.run(["resume", url, "--generations", "6"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"evoprune: error: cannot read or write {url}/checkpoints/generation-00000004.ckpt")
    assert "Connection reset" in last
    assert f"evoprune resume {url}" in last
    monkeypatch.undo()
    assert read_status(url).generation == 3
    assert resume_search(url, generations=6).complete
    assert traces(url) == traces(tmp_path / "run")


def test_who_loses_the_lease_ends_with_one_sentence(url, options, capsys, monkeypatch):
    start_search(url, options(2))
    append = FsspecStore.append

    def append_and_lose(store, name, line):
        append(store, name, line)
        store.write("lease.json", b'{"owner": "other", "host": "elsewhere", "pid": 5}')

    monkeypatch.setattr(FsspecStore, "append", append_and_lose)
    capsys.readouterr()
    assert main.run(["resume", url, "--generations", "6"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"evoprune: error: another process (5 on elsewhere) has taken over {url}")
    monkeypatch.undo()
    assert read_status(url).generation == 2
    assert main.run(["resume", url]) == 2
    assert "(5 on elsewhere) is at work" in capsys.readouterr().err.strip().splitlines()[-1]


def test_commands_take_urls_and_name_what_is_wrong_with_them(
    url, capsys, tiny_directory, tiny_data, tmp_path, monkeypatch
):
    small = ["--preset", "paper", "--population", "4", "--parents", "2", "--mutation", "0.1", "--threshold", "30"]
    small += ["--generations", "2"]
    chosen = ["--model", str(tiny_directory), "--data", f"npz:{tiny_data}", *small]
    assert main.run(["search", url, *chosen]) == 0
    for command in (
        ["resume", url, "--generations", "3"],
        ["export", url, str(tmp_path / "pruned")],
        ["report", url],
    ):
        assert main.run(command) == 0
    capsys.readouterr()
    assert main.run(["status", url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["generation"] == 3
    for arguments, part in (
        (["search", url, *chosen], f"already holds a run; continue it with 'evoprune resume {url}'"),
        (["search", "gopherfs://x/y", *chosen], "unknown protocol 'gopherfs'"),
        (["status", f"{url}2"], "holds no run"),
        (["status", "memory://"], "names no place"),
        (["export", url, "s3://bucket/pruned"], "only run directories can be at URLs"),
        (["train", "s3://bucket/model", "--data", "digits"], "only run directories can be at URLs"),
        (["evaluate", "s3://bucket/model", "--data", "digits"], "only run directories can be at URLs"),
    ):
        assert main.run(arguments) == 2
        [line] = capsys.readouterr().err.strip().splitlines()
        assert part in line


def test_an_interrupt_says_how_to_go_on_at_a_url(url, options, capsys, monkeypatch):
    start_search(url, options(1))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.search.loop.Search.step", interrupted)
    assert main.run(["resume", url, "--generations", "3"]) == 130
    assert f"evoprune resume {url}" in capsys.readouterr().err
    assert not open_store(url).exists("lease.json")


@pytest.mark.parametrize("address", ["ray://stranger:10001", "10.0.0.1:6379"])
def test_a_cluster_that_a_file_names_is_not_joined(url, options, address):
    start_search(url, options(1))
    run = RunDirectory.open(url)
    backend = asdict(Backend("ray", PoolOptions(address=address)))
    run.write_description({**run.description(), "backend": backend})
    with pytest.raises(OptionError, match="a cluster that you trust"):
        resume_search(url, generations=2)


@pytest.mark.parametrize(
    "backend", [None, [], {"name": "ray"}, {"name": "ray", "pool": {"workers": "2"}}, {"pool": 5}]
)
def test_a_backend_changed_by_hand_is_refused(url, options, backend):
    start_search(url, options(1))
    run = RunDirectory.open(url)
    run.write_description({**run.description(), "backend": backend})
    with pytest.raises(RunError, match=r"run\.json"):
        resume_search(url, generations=2)


def test_files_changed_by_hand_are_named_or_measured_anew(url, options):
    start_search(url, options(1))
    store = open_store(url)
    held_out, journal = store.read("held_out.json"), store.read("journal.jsonl")
    for changes in ({"correct": 11}, {"correct": -1}, {"total": "10"}, {"original_correct": 1.5}):
        store.write("held_out.json", json.dumps({**json.loads(held_out), **changes}).encode())
        resume_search(url)
        assert store.read("held_out.json") == held_out
    for best in ({}, {"accuracy_drop": "low"}, {"accuracy_drop": float("nan")}):
        row = json.dumps({"generation": 0, "best": best})
        store.write("journal.jsonl", row.encode() + b"\n")
        with pytest.raises(RunError, match=r"journal\.jsonl is damaged"):
            make_report(url)
    store.write("journal.jsonl", journal)
    make_report(url)


def test_checkpoints_of_another_run_are_refused(url, options, tmp_path):
    start_search(url, options(1))
    other = RunDirectory.open(url).latest(pytest.fail)
    layout = type(other.layout)(("a", "b"), (9, 9))
    payload = encode(other.state, layout, other.identity)
    from tests.engine.run.test_checkpoint import signed

    open_store(url).write("checkpoints/generation-00000001.ckpt", signed(payload))
    for act in (
        lambda: resume_search(url, generations=2),
        lambda: make_report(url),
        lambda: export_run(url, tmp_path / "pruned"),
    ):
        with pytest.raises(RunError, match="belong to another run"):
            act()
