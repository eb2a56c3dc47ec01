"""Whole searches on the tiny network: results, exports, reports, and what is refused."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import OptionError, RunError
from engine.run.directory import RunDirectory
from engine.search.settings import SearchSettings
from experiments.cli.output import summary_lines
from experiments.data.facts import DataFacts
from experiments.data.options import DataOptions
from experiments.measurement.measuring import evaluate_model
from experiments.report.run import make_report
from experiments.runs.exporting.export import export_run
from experiments.runs.options import Backend
from experiments.runs.scoring import score_masks
from experiments.runs.search import resume_search, start_search
from experiments.runs.watching.status import ancestry_text, read_status
from fitness.evaluation.evaluator import CPU_BATCH
from fitness.importance.contract import ImportanceError
from models import model_directory
from tests.support.runs import (
    GENERATIONS,
    OPTIONS_OF_THE_COMMAND_LINE,
    SETTINGS,
    Listening,
    options_for,
    progress_of,
    traces,
)


def test_the_result_tells_what_happened(finished, tiny_directory, tiny_data, tmp_path):
    path, result = finished
    assert result.generation == GENERATIONS
    assert result.complete is True
    best = result.best
    assert best["parameter_drop"] > 0
    assert best["accuracy_drop"] < 20
    assert read_status(path).to_json() == progress_of(result)
    # The count of BEST, measured again from its mask alone.
    state_masks = tmp_path / "masks.npy"
    mask = RunDirectory.open(path).latest(pytest.fail).state.best.individual.mask
    np.save(state_masks, mask)
    scored = score_masks(tiny_directory, state_masks, DataOptions(f"npz:{tiny_data}"))
    assert scored.correct == [best["correct"]]
    assert result.held_out.total == 10
    assert result.facts == DataFacts("number", "by number, 3 classes")


def test_islands_are_searched_and_reported(tiny_directory, tiny_data, tmp_path):
    settings = replace(SETTINGS, islands=3, migrate_every=3, migrants=1)
    whole = tmp_path / "whole"
    result = start_search(whole, options_for(tiny_directory, tiny_data, settings=settings))
    assert read_status(whole).to_json() == progress_of(result)
    assert result.islands == RunDirectory.open(whole).journal()[-1]["islands"]
    assert [island["size"] for island in result.islands] == [12, 12, 12]
    make_report(whole)
    page = (whole / "report" / "report.md").read_text()
    assert page.count("![") == 7
    assert "3, sending the best mask to the next every 3 generations" in page
    assert (whole / "report" / "island_scores.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_is_stopped_early_leaves_the_search_as_it_was(finished, tiny_directory, tiny_data, tmp_path):
    # A small population fills at once and small batches are many, so that there is much to stop.
    settings = replace(SETTINGS, population_cap=8)
    stopping, whole = tmp_path / "stopping", tmp_path / "whole"
    results = [
        start_search(run, options_for(tiny_directory, tiny_data, batch_size=5, settings=chosen))
        for run, chosen in ((stopping, settings), (whole, replace(settings, stop_early=False)))
    ]
    assert results[1].stopped == 0 < results[0].stopped
    assert replace(results[0], stopped=0) == results[1]
    states = [RunDirectory.open(run).latest(pytest.fail).state for run in (stopping, whole)]
    for one, other in zip(states[0].population, states[1].population, strict=True):
        assert (one.mask.tobytes(), one.correct, one.score) == (other.mask.tobytes(), other.correct, other.score)
    assert "stopped early" in (Path(make_report(stopping)["report"])).read_text()


def test_bfloat16_is_compared_with_float32_and_belongs_to_the_run(tiny_directory, tiny_data, tmp_path):
    options = options_for(tiny_directory, tiny_data, generations=1, precision="bfloat16")
    listening = Listening()
    start_search(tmp_path / "run", options, reporter=listening)
    description = RunDirectory.open(tmp_path / "run").description()
    assert description["configuration"]["precision"] == "bfloat16"
    compared = description["precision_difference"]
    assert compared["float32_correct"] == 36
    assert f"bfloat16 gets {compared['correct']} of 40 images right and float32 36" in "\n".join(
        listening.sentences
    )
    np.save(tmp_path / "masks.npy", np.ones((1, 18), bool))
    scored = score_masks(
        tiny_directory, tmp_path / "masks.npy", DataOptions(f"npz:{tiny_data}"), precision="bfloat16"
    )
    assert scored.precision_difference == compared
    assert scored.correct == [compared["correct"]]
    auto = options_for(tiny_directory, tiny_data).on(Backend())
    assert (auto.precision, auto.batch_size) == ("float32", CPU_BATCH)


@pytest.mark.slow
def test_a_search_killed_again_and_again_leaves_the_same_traces(finished, tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "experiments.cli.main"]
    begin = ["search", str(run), "--model", str(tiny_directory), "--data", f"npz:{tiny_data}"]
    begin += [*OPTIONS_OF_THE_COMMAND_LINE, "--generations", str(GENERATIONS)]
    delays = np.random.default_rng(0)
    kills = 0
    while True:
        started = (run / "run.json").exists()
        arguments = ["resume", str(run)] if started else begin
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        if kills < 3:
            seen = (run / "journal.jsonl").stat().st_size if (run / "journal.jsonl").exists() else 0
            # Wait for a sign of progress, then kill at a random moment after it.
            while process.poll() is None:
                journal = run / "journal.jsonl"
                if journal.exists() and journal.stat().st_size > seen:
                    break
                time.sleep(0.005)
            time.sleep(float(delays.random()) * 0.05)
            process.send_signal(signal.SIGKILL)
            kills += 1
        _, errors = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors.decode()
    assert traces(run) == traces(finished[0])


def test_what_a_run_cannot_be_resumed_with(finished, tiny_model, tiny_data, tmp_path):
    run, _ = finished
    with pytest.raises(OptionError, match="new total"):
        resume_search(run, generations=2)
    other = tmp_path / "other"
    model_directory.save(
        other,
        type(tiny_model)(tiny_model.network.architecture.build(99), tiny_model.normalisation, ("a", "b", "c")),
    )
    with pytest.raises(RunError, match="`model`"):
        resume_search(run, model=str(other))
    with pytest.raises(RunError, match="already holds a run"):
        start_search(run, options_for(other, tiny_data))


def test_export_and_report_refuse_another_model_of_the_same_shape(finished, tiny_model, tmp_path):
    run, _ = finished
    other = tmp_path / "other"
    network = tiny_model.network.architecture.build(99)
    model_directory.save(other, type(tiny_model)(network, tiny_model.normalisation, tiny_model.classes))
    with pytest.raises(RunError, match="is not the one"):
        export_run(run, tmp_path / "pruned", model=str(other))
    with pytest.raises(RunError, match="is not the one"):
        make_report(run, model=str(other))
    assert not (tmp_path / "pruned").exists()


def test_two_processes_cannot_work_on_one_run(run_copy):
    run = run_copy
    with RunDirectory.open(run).locked(), pytest.raises(RunError, match="another process"):
        resume_search(run)
    assert resume_search(run).complete


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threshold", "2"),
        ("weight", None),
        ("model", 5),
        ("batch_size", 1.5),
        ("generations", 2.5),
        ("generations", True),
        ("unknown", 1),
    ],
)
def test_a_description_changed_by_hand_is_refused(finished, tmp_path, key, value):
    run = RunDirectory.open(finished[0])
    description = run.description()
    changed = {**description, "configuration": {**description["configuration"], key: value}}
    copy = RunDirectory.create(tmp_path / "copy", changed)
    with pytest.raises(RunError, match=r"run\.json"):
        resume_search(copy.location)


def test_an_unreadable_test_split_does_not_hide_the_result(tiny_directory, tiny_data, tmp_path):
    parts = dict(np.load(tiny_data))
    np.savez(tmp_path / "odd.npz", **{**parts, "x_test": parts["x_test"][:, :7]})
    result = start_search(tmp_path / "run", options_for(tiny_directory, tmp_path / "odd.npz", generations=1))
    assert result.complete
    assert result.held_out is None
    assert "not measured" in make_report(tmp_path / "run")["table"]


def test_export_is_as_accurate_as_the_mask_and_can_be_searched_again(finished, tiny_data, tmp_path):
    run, result = finished
    exported = export_run(run, tmp_path / "pruned")
    assert exported.parameters == result.best["parameters"]
    assert exported.macs == result.best["macs"]
    assert exported.max_logit_difference < 1e-4
    for split, correct in (("test", result.held_out.correct), ("train", result.best["correct"])):
        measured = evaluate_model(tmp_path / "pruned", DataOptions(f"npz:{tiny_data}", split=split))
        assert measured.correct == correct
        assert measured.parameters == exported.parameters
    again = start_search(tmp_path / "again", options_for(tmp_path / "pruned", tiny_data, generations=1))
    assert again.complete
    with pytest.raises(model_directory.StoreError, match="exists already"):
        export_run(run, tmp_path / "pruned")


def test_a_mask_that_removes_nothing_is_named(tiny_directory, tiny_data, tmp_path):
    settings = SearchSettings(population=2, parents=2, mutation=0.0, initial_removal=0.0)
    start_search(tmp_path / "run", options_for(tiny_directory, tiny_data, generations=1, settings=settings))
    listening = Listening()
    assert export_run(tmp_path / "run", tmp_path / "same", reporter=listening).removed_filters == 0
    assert any("removes nothing" in text for text in listening.sentences)
    assert model_directory.load(tmp_path / "same").digest() == model_directory.load(tiny_directory).digest()


def test_the_report_is_written(finished, run_copy):
    run, result = run_copy, finished[1]
    report = make_report(run)
    assert f"{result.best['parameters']:,}" in report["table"]
    assert (run / "report" / "report.md").read_text().count("![") == 7
    for figure in report["figures"]:
        assert Path(figure).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert not [name for name in os.listdir(run / "report") if name.endswith(".tmp")]


SEEDED = replace(SETTINGS, population=12)


def seeded_for(directory, data, **changes):
    return options_for(directory, data, **{"settings": SEEDED, "seed_with": "magnitude,taylor", **changes})


def test_the_report_and_the_status_say_what_best_descends_from(tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    result = start_search(run, seeded_for(tiny_directory, tiny_data, seed_with="taylor"))
    ancestry = result.best["ancestry"]
    assert list(ancestry) == ["near-original", "taylor", "mutation"]
    assert sum(ancestry.values()) == result.best["removed_filters"] > 0
    assert read_status(run).best == result.best
    assert RunDirectory.open(run).journal()[-1]["best"]["ancestry"] == ancestry
    make_report(run)
    page = (run / "report" / "report.md").read_text()
    said = ancestry_text(ancestry)
    assert f"| the filters that BEST removes come from | {said}" in page
    assert "6, up to 10% removed, and 6 by taylor, globally and by layer, up to 80% removed" in page
    assert said in "\n".join(summary_lines(result))


def test_ancestry_in_words():
    assert ancestry_text({"near-original": 1, "taylor": 3, "mutation": 0}) == "taylor 75.0%, near-original 25.0%"
    assert ancestry_text({"near-original": 0}) == "nowhere, as none is removed"


def test_seeds_are_part_of_a_run(tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    start_search(run, seeded_for(tiny_directory, tiny_data, generations=1))
    description = RunDirectory.open(run).description()
    for other in ("taylor,magnitude", "magnitude", None):
        changed = {**description, "configuration": {**description["configuration"], "seed_with": other}}
        (run / "run.json").write_text(json.dumps(changed))
        with pytest.raises(RunError, match=r"not those that|not the one that"):
            resume_search(run)


def test_what_cannot_be_seeded_with_leaves_no_run(tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    for changes, error, sentence in (
        ({"seed_with": "tailor"}, OptionError, "`seed_with`+ 'tailor' is not known"),
        ({"seed_with": "taylor,taylor"}, OptionError, "names taylor twice"),
        ({"settings": SETTINGS, "seed_with": "taylor,magnitude,random"}, OptionError, "raise it to 12"),
        ({"seed_with": "karnin"}, ImportanceError, "`track_sensitivity`"),
    ):
        with pytest.raises(error, match=sentence):
            start_search(run, seeded_for(tiny_directory, tiny_data, **changes))
        assert not run.exists()


def test_a_file_system_without_locks_is_told_in_the_result(tiny_directory, tiny_data, tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    options = options_for(tiny_directory, tiny_data, generations=1)
    for result in (
        start_search(tmp_path / "run", options),
        resume_search(tmp_path / "run", generations=2),
    ):
        [warning] = [text for text in result.to_json()["warnings"] if "has no locks" in text]
        assert "nothing keeps a second driver out" in warning
