"""``export --refit``: what leaves, by what it was chosen, and what is refused."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError, OptionError
from experiments.cli import main
from experiments.data import datasets
from experiments.data.options import DataOptions
from experiments.measurement.measuring import evaluate_model, predictions
from experiments.runs.exporting.export import export_run
from experiments.runs.exporting.refit import refitted_choice
from experiments.runs.finish.images import finish_images
from experiments.runs.finish.judging import Judge, Judged
from experiments.runs.options import SearchOptions
from experiments.runs.saved import SavedRun
from experiments.runs.search import start_search
from models import model_directory
from tests.support import runs
from tests.support.runs import options_for

IMAGES = 15
SETTINGS = replace(runs.SETTINGS, initial_removal=0.3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_directory, tiny_data):
    """A search with compensation on some of the images."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    options = options_for(
        tiny_directory, tiny_data, compensate="linear", compensation_images=10, settings=SETTINGS
    )
    start_search(path, replace(options, data=replace(options.data, images=IMAGES)))
    return path


@pytest.mark.parametrize("pick", [None, "accuracy_drop<60", "parameter_drop>5"])
def test_the_exported_network_is_what_was_counted(finished, tiny_directory, tmp_path, pick):
    exported = tmp_path / "pruned"
    result = export_run(finished, exported, refit=True, refit_images=12, pick=pick)
    assert result.differing_predictions == 0
    # The weights of the search are written where a refit loses more.
    assert result.refit_images in (12, None)
    saved = SavedRun.open(finished)
    assert evaluate_model(exported, saved.options.data).correct == result.correct
    smaller = model_directory.load(exported)
    assert smaller.notes["pruned_from"]["refit_images"] == result.refit_images
    images = finish_images(saved.problem, 12)
    right = predictions(smaller, images.check) == images.check.labels
    assert (result.check["total"], result.check["correct"]) == (len(right), right.sum())
    if pick == "accuracy_drop<60":
        assert max(result.accuracy_drop, result.check["accuracy_drop"]) < 60
    if pick == "parameter_drop>5":
        assert result.parameter_drop > 5


def test_without_a_pick_it_is_best_with_other_weights(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(Judge, "drop", lambda judge, judged: -99.0 if judged.refitted else 99.0)
    plain = export_run(finished, tmp_path / "plain")
    refit = export_run(finished, tmp_path / "refit", refit=True, refit_images=9)
    assert (plain.refit_images, plain.check, refit.refit_images) == (None, None, 9)
    assert (plain.sha256, plain.parameters) == (refit.sha256, refit.parameters)
    weights = [model_directory.load(tmp_path / name).digest() for name in ("plain", "refit")]
    assert weights[0] != weights[1]


@pytest.mark.parametrize("wanted", ["accuracy_drop<{}", "accuracy_drop<={},accuracy_drop<99"])
def test_a_pick_drops_most_of_what_was_judged_and_holds(finished, monkeypatch, wanted):
    saved, limit, judged = SavedRun.open(finished), 50.0, []
    judge = Judge.__call__

    def noted(self, mask, *others):
        judged.append((mask, judge(self, mask, *others)))
        return judged[-1][1]

    monkeypatch.setattr(Judge, "__call__", noted)
    (mask, kept), by = refitted_choice(saved, wanted.format(limit) + ",parameters>1", 12)
    dropped = saved.problem.genome(np.stack([mask, *(each for each, _ in judged)])).parameters
    assert by.drop(kept) < limit or "<=" in wanted
    assert len(judged) > 1 or "<=" in wanted
    for parameters, (_, found) in zip(dropped[1:], judged, strict=True):
        assert parameters >= dropped[0] or by.drop(found) >= limit
    # A lower bound changes nothing of what is judged.
    bound, drop = wanted.format(limit), by.drop(kept)
    again = refitted_choice(saved, f"{bound},accuracy_drop>={drop}", 12)
    np.testing.assert_array_equal(again.held.mask, mask)
    with pytest.raises(OptionError, match="fits none of the"):
        refitted_choice(saved, f"{bound},accuracy_drop>{drop}", 12)


def test_conditions_on_costs_hold_for_masks_between_two_candidates_too(finished):
    saved = SavedRun.open(finished)
    (mask, _), _ = refitted_choice(saved, "accuracy_drop<60", 12)
    [most] = saved.problem.genome(mask[None]).parameters
    (other, _), _ = refitted_choice(saved, f"accuracy_drop<100,parameters>{most}", 12)
    assert saved.problem.genome(other[None]).parameters[0] > most


@given(st.integers(0, 2**16), st.floats(0, 100))
def test_the_weights_of_the_search_stay_where_a_refit_loses_more(seed, before):
    """The judge asks for both where the refit loses more than the search counted, and takes the better."""
    fitness, check = np.random.default_rng(seed).integers(1, 100, (2, 2))
    judge = object.__new__(Judge)
    judge.images = SimpleNamespace(fitted=(1,), check=(1,))
    judge._problem = None
    judge._known, judge._run, judge._key = {}, None, ""
    judge._original = Judged(0, "original", "", "", fitness=100, check=100)
    judge._tried = lambda mask, generation, purpose, refitted: (
        Judged(0, purpose, "", "", int(fitness[int(refitted)]), int(check[int(refitted)]), refitted=refitted),
        None,
    )
    found = judge(np.ones(1, bool), 0, "finish", before)
    drops = 100.0 - np.minimum(fitness, check)
    assert found.refitted == (drops[1] <= before or drops[1] <= drops[0])


def test_a_search_that_saw_everything_is_judged_by_images_that_the_refit_did_not_see(
    tiny_directory, tiny_data, tmp_path, capsys
):
    run = tmp_path / "run"
    start_search(
        run, SearchOptions(str(tiny_directory), DataOptions(f"npz:{tiny_data}"), generations=0, settings=SETTINGS)
    )
    assert main.run(["export", str(run), str(tmp_path / "pruned"), "--refit"]) == 0
    output = capsys.readouterr()
    assert "on 20 check images, which the search saw" in output.out


def test_images_of_which_the_model_gets_none_right_judge_nothing(tiny_directory, tiny_images, tmp_path):
    """What was lost is told in percent of what the original gets right."""
    images, answers = tiny_images[0][:40], tiny_images[1][:40].copy()
    answers[::10] = (answers[::10] + 2) % 3
    seen = datasets.subset(40, IMAGES, 0)
    labels = (answers + 1) % 3
    labels[seen] = answers[seen]
    data, run = tmp_path / "data.npz", tmp_path / "run"
    np.savez(data, x_train=images, y_train=labels)
    options = SearchOptions(
        str(tiny_directory), DataOptions(f"npz:{data}", images=IMAGES), generations=0, settings=SETTINGS
    )
    start_search(run, options)
    with pytest.raises(DataError, match=r"none of the fitness images .*, or none of the \d+ training images"):
        refitted_choice(SavedRun.open(run), "accuracy_drop<100", IMAGES)


def test_what_cannot_be_refitted_writes_nothing(finished, tmp_path, capsys):
    pruned = tmp_path / "pruned"
    for arguments, sentence in (
        (["--refit-images", "0"], "--refit-images must be 1 or more, not 0"),
        (["--pick", "accuracy_drop<-99"], "fits none of the"),
        (["--pick", "accuracy<1"], "is no condition"),
    ):
        assert main.run(["export", str(finished), str(pruned), "--refit", *arguments]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert sentence in output.err
        assert "Traceback" not in output.err
        assert not pruned.exists()


def test_data_without_a_training_split_is_refused(finished, monkeypatch):
    saved = SavedRun.open(finished)
    monkeypatch.setattr(datasets, "available_splits", lambda data, data_dir=None: ("test",))
    with pytest.raises(DataError, match="`refit` needs training images"):
        refitted_choice(saved, None, 12)
