"""Following a run: ``status --watch``, TensorBoard events and Ray metrics."""

import itertools
import json
import sys
from dataclasses import replace
from types import ModuleType

import fsspec
import pytest

from engine.cluster.figures import PoolFigures
from engine.run.directory import RunDirectory
from engine.stores.locations import open_store
from experiments.cli import main
from experiments.progress import Silent
from experiments.report.tensorboard import write_events
from experiments.runs.search import resume_search, start_search
from experiments.runs.watching.following import follow
from experiments.runs.watching.ray_metrics import RayMetrics, with_metrics
from experiments.runs.watching.status import read_status
from tests.support.runs import options_for


@pytest.fixture
def options(tiny_directory, tiny_data):
    def make(generations):
        return options_for(tiny_directory, tiny_data, generations=generations)

    return make


def asked_for(run, generations):
    """Let a run that has stopped look like one that goes on."""
    description = run.description()
    description["configuration"]["generations"] = generations
    run.write_description(description)


def test_a_run_at_a_url_is_followed_until_it_is_complete(options, monkeypatch):
    url = "memory://followed/run"
    files = fsspec.filesystem("memory")
    try:
        start_search(url, options(1))
        run = RunDirectory.open(url)
        asked_for(run, 3)
        pauses = []

        def pause(seconds):
            pauses.append(seconds)
            if len(pauses) == 3:
                resume_search(url)
            before[:] = [{name: files.cat_file(name) for name in files.find("/followed")}]

        before = [{name: files.cat_file(name) for name in files.find("/followed")}]
        seen = []
        monkeypatch.setattr("experiments.runs.watching.following.sleep", pause)
        for status in follow(url, 7.0):
            assert before == [{name: files.cat_file(name) for name in files.find("/followed")}]
            seen.append(status)
        assert [status.generation for status in seen] == [1, 3]
        assert pauses == [7.0] * 3
        assert {**read_status(url).to_json(), "pace": seen[-1].to_json()["pace"]} == seen[-1].to_json()
        each = sum(row["seconds"] for row in run.timings()[:2]) / 2
        assert seen[0].pace.seconds_a_generation == pytest.approx(each, abs=1e-3)
        assert seen[0].pace.seconds_left == pytest.approx(2 * each, abs=0.1)
        assert seen[1].pace.seconds_left == 0
    finally:
        files.rm("/followed", recursive=True)


def test_watch_prints_over_what_it_printed(options, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    start_search(run, options(1))
    asked_for(RunDirectory.open(run), 2)
    monkeypatch.setattr("experiments.runs.watching.following.sleep", lambda seconds: resume_search(run))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main.run(["status", str(run), "--watch", "0.5"]) == 0
    _, first, second = capsys.readouterr().out.split("\x1b[J")
    assert first.startswith("generation 1 of 2, not complete")
    assert second.count("\x1b[F") == 0
    assert first.count("\n") == first.count("\x1b[F") == 6
    assert "a generation, about" in first
    assert second.startswith("generation 2 of 2, complete")
    assert main.run(["status", str(run), "--watch", "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["generation"] == 2
    for wrong, part in (
        (["--watch", str(run)], "give --watch last"),
        ([str(run), "--watch", "0"], "give 0.1 or more"),
    ):
        assert main.run(["status", *wrong]) == 2
        assert part in capsys.readouterr().err


def events(file):
    """``[(step, seconds, {tag: value})]`` of an event file, its checksums taken on trust."""
    from tensorboardX.proto.event_pb2 import Event

    content, place, found = file.read_bytes(), 0, []
    while place < len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        event = Event.FromString(content[place + 12 : place + 12 + length])
        found.append(
            (event.step, event.wall_time, {value.tag: value.simple_value for value in event.summary.value})
        )
        place += 16 + length
    return found


def test_events_hold_each_generation_once_however_the_run_was_interrupted(options, tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    run = tmp_path / "run"
    start_search(run, options(1))
    asked_for(RunDirectory.open(run), 4)
    pauses = itertools.count()

    def pause(_):
        if next(pauses) == 0:
            # As after a kill between the journal's line and its checkpoint.
            max((run / "checkpoints").iterdir()).unlink()
        else:
            resume_search(run)

    monkeypatch.setattr("experiments.report.tensorboard.sleep", pause)
    result = write_events(run, watch=1.0)
    [file] = (run / "tensorboard").iterdir()
    assert result == {
        "log_directory": str(file.parent),
        "file": str(file),
        "generations": 5,
        "events": result["events"],
    }
    head, *steps = events(file)
    assert head == (0, 0.0, {})
    rows = RunDirectory.open(run).journal()
    assert [step for step, _, _ in steps] == [row["generation"] for row in rows] == [0, 1, 2, 3, 4]
    for (_, _, scalars), row in zip(steps, rows, strict=True):
        assert scalars["best/score"] == pytest.approx(row["best"]["score"], rel=1e-6)
        assert scalars["population/size"] == row["population"]["size"]
        assert scalars["search/evaluations"] == row["evaluations"]
    times = [seconds for _, seconds, _ in steps]
    assert times == sorted(times)
    write_events(run)
    once = file.read_bytes()
    write_events(run)
    assert file.read_bytes() == once
    assert len(events(file)) == 6


def test_events_of_several_runs_stay_apart_and_those_of_a_longer_run_do_not(options, tmp_path):
    pytest.importorskip("tensorboardX")
    for name, seed in (("a", 0), ("b", 1)):
        asked = options(0)
        start_search(tmp_path / name, replace(asked, settings=replace(asked.settings, seed=seed)))
        write_events(tmp_path / name, tmp_path / "logs")
    files = {path: path.read_bytes() for path in (tmp_path / "logs").iterdir()}
    assert len(files) == 2
    resume_search(tmp_path / "a", generations=1)
    write_events(tmp_path / "a", tmp_path / "logs")
    longer = {path: path.read_bytes() for path in (tmp_path / "logs").iterdir()}
    assert longer.keys() == files.keys()
    assert sum(longer[path] != content for path, content in files.items()) == 1


def test_events_of_a_run_at_a_url_go_where_tensorboard_can_read(options, tmp_path, capsys):
    pytest.importorskip("tensorboardX")
    url = "memory://events/run"
    try:
        start_search(url, options(1))
        assert main.run(["tensorboard", url]) == 2
        assert "name a local LOG_DIR" in capsys.readouterr().err
        assert main.run(["tensorboard", url, str(tmp_path / "logs"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["generations"] == 2
        [file] = (tmp_path / "logs").iterdir()
        before = file.read_bytes()
        open_store(url).write("journal.jsonl", b'{"generation": 0, "best": {}}\n')
        assert main.run(["tensorboard", url, str(tmp_path / "logs")]) == 2
        [line] = capsys.readouterr().err.strip().splitlines()
        assert "journal.jsonl or timings.jsonl is damaged" in line
        assert file.read_bytes() == before
    finally:
        fsspec.filesystem("memory").rm("/events", recursive=True)


def test_without_the_writer_there_is_a_sentence(options, tmp_path, capsys, monkeypatch):
    start_search(tmp_path / "run", options(0))
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert main.run(["tensorboard", str(tmp_path / "run")]) == 2
    assert "pip install 'evoprune[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "run" / "tensorboard").exists()


class Gauges(ModuleType):
    """``ray.util.metrics`` that remembers."""

    def __init__(self):
        super().__init__("ray.util.metrics")
        self.values = gauges = {}

        class Gauge:
            def __init__(self, name, description, tag_keys):
                assert name not in gauges
                assert description
                assert tag_keys == ("run",)
                self.name = name

            def set(self, value, tags):
                assert tags == {"run": "here"}
                gauges.setdefault(self.name, []).append(value)

        self.Gauge = Gauge


def test_metrics_follow_the_search_and_the_workers(options, tmp_path, monkeypatch):
    metrics = Gauges()
    monkeypatch.setitem(sys.modules, "ray.util.metrics", metrics)
    heard = []

    class Listening(Silent):
        def generation(self, state, total):
            heard.append(state.generation)

        def workers(self, figures):
            heard.append(figures)

    reporter = RayMetrics(Listening(), "here")
    start_search(tmp_path / "run", options(3), reporter=reporter)
    figures = PoolFigures(2, 3, 1, 4, None)
    reporter.workers(figures)
    assert heard == [0, 1, 2, 3, figures]
    rows = RunDirectory.open(tmp_path / "run").journal()
    found = metrics.values
    for name in ("score", "accuracy_drop", "parameter_drop", "mac_drop"):
        assert found[f"evoprune_best_{name}"] == [row["best"][name] for row in rows]
    assert found["evoprune_generation"] == [0, 1, 2, 3]
    assert found["evoprune_evaluations"] == [row["evaluations"] for row in rows]
    assert found["evoprune_highest_score"] == [row["population"]["highest_score"] for row in rows]
    assert found["evoprune_evaluations_per_second"][0] == 0 < found["evoprune_evaluations_per_second"][1]
    assert found["evoprune_workers_ready"] == [2]
    assert found["evoprune_workers_wanted"] == [3]
    assert "evoprune_workers_utilisation" not in found


def test_without_ray_a_reporter_stays_as_it_is():
    silent = Silent()
    assert with_metrics(silent, "local", "here") is silent
    assert isinstance(with_metrics(silent, "ray", "here"), RayMetrics)
