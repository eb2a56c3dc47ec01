"""Whole searches on a tiny network: the same whoever counts, and whenever they are stopped."""

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

from engine.checkpoint import list_checkpoints
from engine.config import SearchSettings
from engine.errors import OptionError, RunError
from engine.locations import open_store
from engine.pool_options import PoolOptions
from engine.run_directory import RunDirectory
from experiments import search_run
from experiments.commands.lines import summary_lines
from experiments.exporting import export_run
from experiments.measuring import DataOptions, evaluate_model
from experiments.progress import Silent
from experiments.report import make_report
from experiments.scoring import score_masks
from experiments.search_options import Backend, SearchOptions
from experiments.search_run import resume_search, start_search
from experiments.status import ancestry_text, read_status
from fitness.importance.errors import ImportanceError
from models import store

SETTINGS = SearchSettings(population=8, parents=4, mutation=0.05, population_cap=12, initial_removal=0.1, seed=5)
GENERATIONS = 8


def options_for(directory, data, **changes):
    chosen = {"generations": GENERATIONS, "threshold": 20.0, "settings": SETTINGS, **changes}
    return SearchOptions(str(directory), DataOptions(f"npz:{data}"), **chosen)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_directory, tiny_data):
    path = tmp_path_factory.mktemp("runs") / "finished"
    result = start_search(path, options_for(tiny_directory, tiny_data))
    return path, result


def traces(location):
    """All that must not depend on backend, store or interruptions."""
    store = open_store(location)
    [*_, newest] = list_checkpoints(store)
    return store.read_log("journal.jsonl"), newest, store.read(newest)


def test_the_result_tells_what_happened(finished, tiny_directory, tiny_data, tmp_path):
    path, result = finished
    assert result["generation"] == GENERATIONS
    assert result["complete"] is True
    best = result["best"]
    assert best["parameter_drop"] > 0
    assert best["accuracy_drop"] < 20
    assert read_status(path) == {key: value for key, value in result.items() if key != "held_out"}
    # The count of BEST, measured again from its mask alone.
    state_masks = tmp_path / "masks.npy"
    mask = RunDirectory.open(path).latest(pytest.fail).state.best.individual.mask
    np.save(state_masks, mask)
    scored = score_masks(tiny_directory, state_masks, DataOptions(f"npz:{tiny_data}"))
    assert scored["correct"] == [best["correct"]]
    assert result["held_out"]["total"] == 10


def test_islands_are_searched_resumed_and_reported(tiny_directory, tiny_data, tmp_path):
    settings = replace(SETTINGS, islands=3, migrate_every=3, migrants=1)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    result = start_search(whole, options_for(tiny_directory, tiny_data, settings=settings))
    start_search(parts, options_for(tiny_directory, tiny_data, settings=settings, generations=2))
    resume_search(parts, generations=5)
    assert resume_search(parts, generations=GENERATIONS) == result
    assert traces(parts) == traces(whole)
    assert read_status(whole) == {key: value for key, value in result.items() if key != "held_out"}
    assert result["islands"] == RunDirectory.open(whole).journal()[-1]["islands"]
    assert [island["size"] for island in result["islands"]] == [12, 12, 12]
    make_report(whole)
    page = (whole / "report" / "report.md").read_text()
    assert page.count("![") == 7
    assert "3, sending the best mask to the next every 3 generations" in page
    assert (whole / "report" / "island_scores.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_run_from_before_there_were_islands_is_resumed(finished, tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    start_search(run, options_for(tiny_directory, tiny_data, generations=4))
    description = RunDirectory.open(run).description()
    for name in ("islands", "migrate_every", "migrants"):
        del description["configuration"]["settings"][name]
    (run / "run.json").write_text(json.dumps(description))
    assert resume_search(run, generations=GENERATIONS) == finished[1]
    assert traces(run) == traces(finished[0])


def test_what_is_stopped_early_leaves_the_search_as_it_was(finished, tiny_directory, tiny_data, tmp_path):
    # A small population fills at once and small batches are many, so that there is much to stop.
    settings = replace(SETTINGS, population_cap=8)
    stopping, whole = tmp_path / "stopping", tmp_path / "whole"
    results = [
        start_search(run, options_for(tiny_directory, tiny_data, batch_size=5, settings=chosen))
        for run, chosen in ((stopping, settings), (whole, replace(settings, stop_early=False)))
    ]
    assert results[1]["stopped"] == 0 < results[0]["stopped"]
    for result in results:
        del result["stopped"]
    assert results[0] == results[1]
    states = [RunDirectory.open(run).latest(pytest.fail).state for run in (stopping, whole)]
    for one, other in zip(states[0].population, states[1].population, strict=True):
        assert (one.mask.tobytes(), one.correct, one.score) == (other.mask.tobytes(), other.correct, other.score)
    assert "stopped early" in (Path(make_report(stopping)["report"])).read_text()


def test_bfloat16_is_compared_with_float32_and_belongs_to_the_run(tiny_directory, tiny_data, tmp_path):
    options = options_for(tiny_directory, tiny_data, generations=1, precision="bfloat16")
    said = []

    class Listening(Silent):
        def message(self, text):
            said.append(text)

    start_search(tmp_path / "run", options, reporter=Listening())
    description = RunDirectory.open(tmp_path / "run").description()
    assert description["configuration"]["precision"] == "bfloat16"
    compared = description["precision_difference"]
    assert compared["float32_correct"] == 36
    assert f"bfloat16 gets {compared['correct']} of 40 images right and float32 36" in said[0]
    np.save(tmp_path / "masks.npy", np.ones((1, 18), bool))
    scored = score_masks(
        tiny_directory, tmp_path / "masks.npy", DataOptions(f"npz:{tiny_data}"), precision="bfloat16"
    )
    assert scored["precision_difference"] == compared
    assert scored["correct"] == [compared["correct"]]
    auto = options_for(tiny_directory, tiny_data).on(Backend())
    assert (auto.precision, auto.batch_size) == ("float32", 64)


def test_ray_leaves_the_same_traces(finished, tiny_directory, tiny_data, tmp_path):
    pytest.importorskip("ray")
    backend = Backend("ray", PoolOptions(workers=2))
    result = start_search(tmp_path / "ray", options_for(tiny_directory, tiny_data), backend)
    assert result == finished[1]
    assert traces(tmp_path / "ray") == traces(finished[0])
    workers = read_status(tmp_path / "ray")["workers"]
    assert workers["wanted"] == 2
    assert 0 < workers["utilisation"] <= 1


@pytest.mark.parametrize("stop", [0, 3])
def test_a_resumed_search_leaves_the_same_traces(finished, tiny_directory, tiny_data, tmp_path, stop):
    run = tmp_path / "run"
    first = start_search(run, options_for(tiny_directory, tiny_data, generations=stop))
    assert first["generation"] == stop
    assert resume_search(run, generations=GENERATIONS) == finished[1]
    assert traces(run) == traces(finished[0])
    assert json.loads((run / "run.json").read_text())["configuration"]["generations"] == GENERATIONS


def test_a_damaged_checkpoint_costs_a_generation_and_nothing_else(finished, tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    start_search(run, options_for(tiny_directory, tiny_data, generations=4))
    newest = max((run / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:100])
    assert read_status(run)["generation"] == 3
    resume_search(run, generations=GENERATIONS)
    assert traces(run) == traces(finished[0])


@pytest.mark.slow
def test_a_search_killed_again_and_again_leaves_the_same_traces(finished, tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "experiments.cli"]
    begin = [
        *("search", str(run), "--model", str(tiny_directory), "--data", f"npz:{tiny_data}", "--threshold", "20"),
        *(
            "--preset",
            "paper",
            "--population",
            "8",
            "--parents",
            "4",
            "--mutation",
            "0.05",
            "--population-cap",
            "12",
        ),
        *("--initial-removal", "0.1", "--seed", "5", "--generations", str(GENERATIONS)),
    ]
    delays = np.random.default_rng(0)
    kills = 0
    while True:
        started = (run / "run.json").exists()
        arguments = ["resume", str(run)] if started else begin
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
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
    store.save(
        other,
        type(tiny_model)(tiny_model.network.architecture.build(99), tiny_model.normalisation, ("a", "b", "c")),
    )
    with pytest.raises(RunError, match="--model"):
        resume_search(run, model=str(other))
    with pytest.raises(RunError, match="already holds a run"):
        start_search(run, options_for(other, tiny_data))


def test_export_and_report_refuse_another_model_of_the_same_shape(finished, tiny_model, tmp_path):
    run, _ = finished
    other = tmp_path / "other"
    network = tiny_model.network.architecture.build(99)
    store.save(other, type(tiny_model)(network, tiny_model.normalisation, tiny_model.classes))
    with pytest.raises(RunError, match="is not the one"):
        export_run(run, tmp_path / "pruned", model=str(other))
    with pytest.raises(RunError, match="is not the one"):
        make_report(run, model=str(other))
    assert not (tmp_path / "pruned").exists()


def test_two_processes_cannot_work_on_one_run(finished):
    run, _ = finished
    with RunDirectory.open(run).locked(), pytest.raises(RunError, match="another process"):
        resume_search(run)
    assert resume_search(run)["complete"]


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
    assert result["complete"]
    assert result["held_out"] is None
    assert "not measured" in make_report(tmp_path / "run")["table"]


def test_export_is_as_accurate_as_the_mask_and_can_be_searched_again(finished, tiny_data, tmp_path):
    run, result = finished
    exported = export_run(run, tmp_path / "pruned")
    assert exported["parameters"] == result["best"]["parameters"]
    assert exported["macs"] == result["best"]["macs"]
    assert exported["max_logit_difference"] < 1e-4
    for split, correct in (("test", result["held_out"]["correct"]), ("train", result["best"]["correct"])):
        measured = evaluate_model(tmp_path / "pruned", DataOptions(f"npz:{tiny_data}", split=split))
        assert measured["correct"] == correct
        assert measured["parameters"] == exported["parameters"]
    again = start_search(tmp_path / "again", options_for(tmp_path / "pruned", tiny_data, generations=1))
    assert again["complete"]
    with pytest.raises(store.StoreError, match="exists already"):
        export_run(run, tmp_path / "pruned")


def test_a_mask_that_removes_nothing_is_named(tiny_directory, tiny_data, tmp_path):
    class Ear:
        def __init__(self):
            self.heard = []

        def message(self, text):
            self.heard.append(text)

        def founding(self, evaluations): ...

        def generation(self, state, total): ...

        def training(self, progress): ...

    settings = SearchSettings(population=2, parents=2, mutation=0.0, initial_removal=0.0)
    start_search(tmp_path / "run", options_for(tiny_directory, tiny_data, generations=1, settings=settings))
    ear = Ear()
    assert export_run(tmp_path / "run", tmp_path / "same", reporter=ear)["removed_filters"] == 0
    assert any("removes nothing" in text for text in ear.heard)
    assert store.load(tmp_path / "same").digest() == store.load(tiny_directory).digest()


def test_the_report_is_written(finished):
    run, result = finished
    report = make_report(run)
    assert f"{result['best']['parameters']:,}" in report["table"]
    assert (run / "report" / "report.md").read_text().count("![") == 7
    for figure in report["figures"]:
        assert Path(figure).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert not [name for name in os.listdir(run / "report") if name.endswith(".tmp")]


SEEDED = replace(SETTINGS, population=12)


def seeded_for(directory, data, **changes):
    return options_for(directory, data, **{"settings": SEEDED, "seed_with": "magnitude,taylor", **changes})


@pytest.mark.parametrize("islands", [1, 2])
def test_a_seeded_search_resumed_is_the_one_that_never_stopped(
    tiny_directory, tiny_data, tmp_path, monkeypatch, islands
):
    settings = replace(SEEDED, islands=islands, migrate_every=3)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    result = start_search(whole, seeded_for(tiny_directory, tiny_data, settings=settings))
    assert start_search(tmp_path / "again", seeded_for(tiny_directory, tiny_data, settings=settings)) == result
    assert traces(tmp_path / "again") == traces(whole)
    start_search(parts, seeded_for(tiny_directory, tiny_data, settings=settings, generations=0))

    def again(*_):
        pytest.fail("generation 0 is made; its importances are needed no more")

    monkeypatch.setattr(search_run, "compute_importances", again)
    resume_search(parts, generations=3)
    assert resume_search(parts, generations=GENERATIONS) == result
    assert traces(parts) == traces(whole)


def test_a_seeded_search_that_died_before_generation_0_is_resumed(tiny_directory, tiny_data, tmp_path):
    whole, died = tmp_path / "whole", tmp_path / "died"
    result = start_search(whole, seeded_for(tiny_directory, tiny_data))
    RunDirectory.create(died, RunDirectory.open(whole).description())
    assert resume_search(died) == result
    assert traces(died) == traces(whole)


def test_the_report_and_the_status_say_what_best_descends_from(tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    result = start_search(run, seeded_for(tiny_directory, tiny_data, seed_with="taylor"))
    ancestry = result["best"]["ancestry"]
    assert list(ancestry) == ["near-original", "taylor", "mutation"]
    assert sum(ancestry.values()) == result["best"]["removed_filters"] > 0
    assert read_status(run)["best"] == result["best"]
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


def test_seeds_are_part_of_a_run(finished, tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    start_search(run, seeded_for(tiny_directory, tiny_data, generations=1))
    description = RunDirectory.open(run).description()
    for other in ("taylor,magnitude", "magnitude", None):
        changed = {**description, "configuration": {**description["configuration"], "seed_with": other}}
        (run / "run.json").write_text(json.dumps(changed))
        with pytest.raises(RunError, match="not those that"):
            resume_search(run)
    # A run from before there was seeding knows nothing of it.
    old = tmp_path / "old"
    start_search(old, options_for(tiny_directory, tiny_data, generations=4))
    description = RunDirectory.open(old).description()
    del description["configuration"]["seed_with"]
    (old / "run.json").write_text(json.dumps(description))
    assert resume_search(old, generations=GENERATIONS) == finished[1]
    assert traces(old) == traces(finished[0])


def test_what_cannot_be_seeded_with_leaves_no_run(tiny_directory, tiny_data, tmp_path):
    run = tmp_path / "run"
    for changes, error, sentence in (
        ({"seed_with": "tailor"}, OptionError, "--seed-with 'tailor' is not known"),
        ({"seed_with": "taylor,taylor"}, OptionError, "names taylor twice"),
        ({"settings": SETTINGS, "seed_with": "taylor,magnitude,random"}, OptionError, "raise it to 12"),
        ({"seed_with": "karnin"}, ImportanceError, "--track-sensitivity"),
    ):
        with pytest.raises(error, match=sentence):
            start_search(run, seeded_for(tiny_directory, tiny_data, **changes))
        assert not run.exists()


def test_ray_leaves_the_same_traces_of_a_seeded_search(tiny_directory, tiny_data, tmp_path):
    pytest.importorskip("ray")
    options = seeded_for(tiny_directory, tiny_data, generations=3)
    result = start_search(tmp_path / "local", options)
    assert start_search(tmp_path / "ray", options, Backend("ray", PoolOptions(workers=2))) == result
    assert traces(tmp_path / "ray") == traces(tmp_path / "local")
