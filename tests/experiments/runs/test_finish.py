"""The finish of a search: RESULT, what it is chosen by, and what an interruption leaves of it."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import RunError
from engine.run.directory import RunDirectory
from engine.stores.locations import open_store
from experiments.cli import main
from experiments.data import datasets
from experiments.data.loading import open_images
from experiments.measurement.measuring import evaluate_model, measure
from experiments.runs.exporting.export import export_run
from experiments.runs.finish import judging, trials
from experiments.runs.finish.images import REFIT_IMAGES, FinishImages, check_places, finish_images, images_within
from experiments.runs.finish.result import NAME as RESULT_FILE
from experiments.runs.finish.weights import NAME as WEIGHTS_FILE
from experiments.runs.finish.weights import weights_of
from experiments.runs.options import SearchOptions
from experiments.runs.saved import SavedRun
from experiments.runs.search import resume_search, start_search
from experiments.runs.watching.status import read_status
from models import model_directory
from models.arrays import arrays_of, set_arrays
from tests.support import runs
from tests.support.runs import Listening, options_for, progress_of, traces

IMAGES, FITTED = 15, 20
GENERATIONS = 2
SETTINGS = replace(runs.SETTINGS, initial_removal=0.3)
FILES = ("judgements.jsonl", RESULT_FILE, WEIGHTS_FILE, "held_out.json")


@pytest.fixture(scope="module")
def options(tiny_directory, tiny_data) -> SearchOptions:
    """A short search with compensation on some of the images."""
    chosen = options_for(
        tiny_directory,
        tiny_data,
        generations=GENERATIONS,
        compensate="linear",
        compensation_images=10,
        settings=SETTINGS,
        finish=True,
    )
    return replace(chosen, data=replace(chosen.data, images=IMAGES))


@pytest.fixture(scope="module")
def whole(options, tmp_path_factory):
    """A search with its finish, and its result."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    return run, start_search(run, options)


def files_of(run) -> dict[str, bytes]:
    store = open_store(run)
    return {name: store.read(name) for name in FILES}


def judgement_of(run, result) -> dict[str, Any]:
    """The row of the judgements by which a RESULT was chosen."""
    (row,) = (row for row in RunDirectory.open(run).judgements() if row["sha256"] == result.sha256)
    return row


def drop(before: int, after: int) -> float:
    return 100 * (before - after) / before


def test_the_exported_network_is_the_result_image_by_image(whole, options, tiny_directory, tmp_path):
    run, found = whole
    result, pruned = found.result, tmp_path / "pruned"
    assert not result.is_best
    exported = export_run(run, pruned)
    assert (exported.mask, exported.sha256) == ("RESULT", result.sha256)
    assert (exported.parameters, exported.macs) == (result.figures["parameters"], result.figures["macs"])
    assert exported.differing_predictions == 0
    assert evaluate_model(pruned, options.data).correct == result.correct == exported.correct
    test = evaluate_model(pruned, replace(options.data, split="test", images=None))
    assert (test.correct, test.total) == (found.held_out.result_correct, found.held_out.total)
    smaller, original = model_directory.load(pruned), model_directory.load(tiny_directory)
    assert result.refit_images == (FITTED if judgement_of(run, result)["refitted"] else None)
    assert smaller.notes["pruned_from"].get("refit_images") == result.refit_images
    check, unseen = check_places(options, 40, refits=True)
    images = open_images(replace(options.data, images=None), original).at(check)
    before, after = measure(original, images).correct, measure(smaller, images).correct
    assert (result.check.original_correct, result.check.correct, result.check.unseen) == (before, after, unseen)
    assert result.check.lost - result.check.gained == before - after
    assert max(result.accuracy_drop, drop(before, after)) < options.threshold


def test_check_images_are_those_that_nothing_saw(options):
    seen = datasets.subset(40, IMAGES, 0), datasets.subset(40, 10, 0)
    check, unseen = check_places(options, 40, refits=True)
    assert unseen
    assert len(check) == len(set(check)) > 0
    assert not set(check) & set(np.concatenate(seen))
    everything = replace(options, data=replace(options.data, images=None))
    check, unseen = check_places(everything, 40, refits=True)
    assert (len(check), unseen) == (20, False)
    assert len(check_places(everything, 40, refits=False)[0]) == 0
    other = replace(options, data=replace(options.data, split="test"))
    assert len(check_places(other, 40, refits=False)[0]) == 30


def stopping(monkeypatch, number: int) -> None:
    """The process ends before the ``number``-th durable step of a finish, counted from 0."""
    steps = iter(range(1_000))

    def wrapped(method):
        def step(self, *arguments):
            if next(steps) == number:
                raise KeyboardInterrupt
            method(self, *arguments)

        return step

    for name in ("record_judgement", "keep"):
        monkeypatch.setattr(RunDirectory, name, wrapped(getattr(RunDirectory, name)))


def counting(monkeypatch) -> list[np.ndarray]:
    """The masks that are refitted from now on."""
    masks, leaving = [], judging.Judge.leaving

    def noted(self, mask, refitted):
        if refitted:
            masks.append(mask)
        return leaving(self, mask, refitted)

    monkeypatch.setattr(judging.Judge, "leaving", noted)
    return masks


def test_a_finish_that_was_stopped_anywhere_ends_with_the_same_result(whole, options, tmp_path, monkeypatch):
    run, expected = whole
    judged = [json.loads(line) for line in (run / "judgements.jsonl").read_text().splitlines()]
    for number in range(1_000):
        again = tmp_path / f"{number}"
        with monkeypatch.context() as patch:
            stopping(patch, number)
            try:
                start_search(again, options)
                break
            except KeyboardInterrupt:
                pass
        known = RunDirectory.open(again).judgements()
        with monkeypatch.context() as patch:
            resumed = counting(patch)
            result = resume_search(again)
        assert result == expected
        assert files_of(again) == files_of(run)
        assert traces(again) == traces(run)
        # A mask that was judged for a lesson is refitted again if it becomes RESULT.
        assert len(resumed) <= len(judged) - len(known) + 1
    assert number > len(judged)


@pytest.mark.slow
def test_a_finish_killed_again_and_again_ends_with_the_same_result(tiny_directory, tiny_data, tmp_path):
    """SIGKILL each time that another judgement is durable."""
    command = [sys.executable, "-m", "experiments.cli.main"]
    small = ["--preset", "quality", "--population", "10", "--threshold", "20", "--generations", "1"]
    begin = ["--model", str(tiny_directory), "--data", f"npz:{tiny_data}", "--images", "15", *small]
    begin += ["--compensation-images", "10"]

    def started(run) -> subprocess.Popen:
        arguments = ["resume", str(run)] if (run / "run.json").exists() else ["search", str(run), *begin]
        return subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[3])

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert started(whole).wait() == 0
    judgements = killed / "judgements.jsonl"
    for _ in range(100):
        seen = judgements.read_bytes() if judgements.exists() else b""
        process = started(killed)
        while process.poll() is None and (not judgements.exists() or judgements.read_bytes() == seen):
            time.sleep(0.01)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert files_of(killed) == files_of(whole)
    assert traces(killed) == traces(whole)


@pytest.mark.slow
def test_more_generations_make_a_finish_of_their_own(whole, options, tmp_path):
    run, _ = whole
    longer, further = tmp_path / "longer", tmp_path / "further"
    expected = start_search(longer, replace(options, generations=GENERATIONS + 1))
    start_search(further, options)
    found = resume_search(further, generations=GENERATIONS + 1)
    assert found == expected
    assert traces(further) == traces(longer)
    assert files_of(further)[RESULT_FILE] == files_of(longer)[RESULT_FILE]
    assert files_of(further)[WEIGHTS_FILE] == files_of(longer)[WEIGHTS_FILE]
    assert read_status(further).to_json() == progress_of(found)
    again = resume_search(run)
    assert again.complete


def judge_one_and_stop(drops, threshold, reach, judge):
    """In place of the choice among candidates."""
    judge(len(drops) - 1)
    raise KeyboardInterrupt


def test_status_tells_a_finish_that_is_under_way(options, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(trials, "first_that_holds", judge_one_and_stop)
        with pytest.raises(KeyboardInterrupt):
            start_search(run, options)
    status = read_status(run)
    assert (status.finishing, status.complete, status.judged, status.result) == (True, False, 1, None)
    assert main.run(["status", str(run)]) == 0
    assert "in its finish, with 1 candidate judged" in capsys.readouterr().out
    assert main.run(["export", str(run), str(tmp_path / "best"), "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["mask"] == "BEST"
    assert f"'evoprune resume {run}' does the rest" in output.err
    assert main.run(["resume", str(run)]) == 0
    shown = capsys.readouterr().out
    assert shown.index("BEST:") < shown.index("RESULT:")
    assert "2 of 2, complete" in shown


def test_where_no_candidate_holds_best_is_the_result(options, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(judging.Judge, "drop", lambda self, judged: 99.0)
    listening, run = Listening(), tmp_path / "run"
    found = start_search(run, options, reporter=listening)
    assert found.result.is_best
    assert found.result.sha256 == found.best["sha256"]
    assert found.held_out.result_correct is None
    assert "candidates that were judged stays within `threshold`" in " ".join(listening.sentences)
    assert main.run(["status", str(run)]) == 0
    assert "RESULT: BEST, as no candidate of the finish holds" in capsys.readouterr().out
    assert export_run(run, tmp_path / "pruned").mask == "BEST"


@pytest.mark.parametrize("spoilt", ["refitted_network", "network_of"])
@pytest.mark.parametrize("candidates_alone", [True, False])
def test_the_better_weights_are_taken(spoilt, candidates_alone, options, tmp_path, monkeypatch):
    if candidates_alone:
        monkeypatch.setattr(trials, "MOST_BETWEEN", 0)
    whole = getattr(judging, spoilt)

    def zeros(*arguments):
        network = whole(*arguments)
        set_arrays(network, {name: 0 * array for name, array in arrays_of(network).items()})
        return network

    monkeypatch.setattr(judging, spoilt, zeros)
    run, pruned = tmp_path / "run", tmp_path / "pruned"
    found = start_search(run, options)
    assert not found.result.is_best
    assert found.result.refit_images == (None if spoilt == "refitted_network" else FITTED)
    assert export_run(run, pruned).mask == "RESULT"
    assert model_directory.load(pruned).notes["pruned_from"].get("refit_images") == found.result.refit_images
    assert evaluate_model(pruned, options.data).correct == found.result.correct
    if spoilt == "refitted_network" and candidates_alone:
        saved = SavedRun.open(str(run))
        mask = weights_of(saved.run, saved.problem, found.result).mask
        assert saved.newest.state.archive.look_up(mask[None])[0] == found.result.correct


def test_without_a_finish_there_is_no_result(options, tmp_path):
    run = tmp_path / "run"
    found = start_search(run, replace(options, finish=False))
    assert (found.result, found.complete) == (None, True)
    assert not {path.name for path in run.iterdir()} & {"judgements.jsonl", RESULT_FILE, WEIGHTS_FILE}
    assert "reach" not in RunDirectory.open(run).journal()[-1]


@pytest.mark.parametrize("changes", [{"compensate": "none"}, {"objectives": "accuracy,parameters"}])
def test_masks_alone_and_fronts_have_a_result_too(changes, options, tmp_path):
    run = tmp_path / "run"
    found = start_search(run, replace(options, generations=1, **changes))
    assert not found.result.is_best
    refitted = judgement_of(run, found.result)["refitted"]
    assert found.result.refit_images == (FITTED if refitted else None)
    assert not (refitted and "compensate" in changes)
    pruned = tmp_path / "pruned"
    assert export_run(run, pruned).mask == "RESULT"
    assert evaluate_model(pruned, options.data).correct == found.result.correct
    assert "reach" not in RunDirectory.open(run).journal()[-1]


def test_a_search_of_masks_that_saw_all_images_has_none_to_judge_by(options, tmp_path):
    listening = Listening()
    everything = replace(options, compensate="none", generations=0, data=replace(options.data, images=None))
    found = start_search(tmp_path / "run", everything, reporter=listening)
    assert found.result.is_best
    assert "Search with fewer `images`" in " ".join(listening.sentences)


def test_a_result_whose_checkpoint_is_lost_is_chosen_again(whole, tmp_path):
    again = tmp_path / "run"
    shutil.copytree(whole[0], again)
    max((again / "checkpoints").iterdir()).unlink()
    assert resume_search(again) == whole[1]
    assert files_of(again) == files_of(whole[0])


@pytest.mark.parametrize("name", [RESULT_FILE, WEIGHTS_FILE])
def test_a_damaged_result_is_named_and_made_anew(name, options, whole, tmp_path):
    run = tmp_path / "run"
    start_search(run, options)
    expected = files_of(run)
    damaged = run / name
    damaged.write_bytes(damaged.read_bytes()[:-9])
    if name == WEIGHTS_FILE:
        with pytest.raises(RunError, match=r"'evoprune resume .*' makes them anew"):
            export_run(run, tmp_path / "pruned")
        assert not (tmp_path / "pruned").exists()
    else:
        assert not read_status(run).complete
    assert resume_search(run) == whole[1]
    assert files_of(run) == expected


def test_damaged_judgements_are_named(options, tmp_path):
    run = tmp_path / "run"
    start_search(run, replace(options, generations=0))
    (run / RESULT_FILE).unlink()
    with (run / "judgements.jsonl").open("a") as file:
        file.write('{"generation": 0, "purpose": 3}\n')
    with pytest.raises(RunError, match=r"judgements.jsonl is damaged .* candidates are judged anew"):
        resume_search(run)


def test_judgements_of_another_run_or_by_other_images_do_not_count(whole):
    run, _ = whole
    saved = SavedRun.open(run)
    own, other = finish_images(saved.problem, REFIT_IMAGES), FinishImages(None, saved.images, True)
    identity = saved.newest.identity
    for images, name, known in ((own, identity, True), (other, identity, False), (own, "another run", False)):
        judge = judging.Judge(saved.problem, saved.compensation, images, saved.run, name)
        assert bool(judge._known) == known


def test_a_refit_holds_no_more_activations_than_it_may(tiny_model):
    # The largest map between two stages is 8x8 with 4 channels, in float32, in two networks.
    assert images_within(tiny_model.network, 7 * 2 * 4 * 8 * 8 * 4) == 7
    assert images_within(tiny_model.network, 1) == 1


def test_the_report_is_about_the_result(whole, undrawn, tmp_path, capsys):
    run, found = whole
    assert main.run(["report", str(run), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["result"]["sha256"] == found.result.sha256
    assert report["measurements"]["parameters"]["pruned"] == found.result.figures["parameters"]
    assert report["findings"][0].startswith("RESULT removes")
    confusion = report["classes"]["confusion"]
    assert sum(row[place] for place, row in enumerate(confusion)) == found.held_out.result_correct
