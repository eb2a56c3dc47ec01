"""``export --refit``: what leaves, by what it was chosen, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError, OptionError
from engine.run.directory import RunDirectory
from experiments.cli import main
from experiments.data import datasets
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from experiments.data.unseen import unseen_images
from experiments.measurement.measuring import evaluate_model
from experiments.runs.exporting.export import export_run
from experiments.runs.exporting.refit import Refitter, first_that, refitted_choice
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


def options_of(run):
    return SearchOptions.from_json(RunDirectory.open(run).description()["configuration"])


@pytest.mark.parametrize("pick", [None, "accuracy_drop<60", "parameter_drop>5"])
def test_the_exported_network_is_what_was_counted(finished, tiny_directory, tmp_path, pick):
    exported = tmp_path / "pruned"
    result = export_run(finished, exported, refit=True, refit_images=12, pick=pick)
    assert result.differing_predictions == 0
    options, refit = options_of(finished), result.refit
    assert refit["images"] == 12
    assert evaluate_model(exported, options.data).correct == refit["fitness"]["correct"] == result.correct
    original, smaller = model_directory.load(tiny_directory), model_directory.load(exported)
    assert smaller.notes["pruned_from"]["refit_images"] == 12
    training = replace(options.data, images=12)
    seen = [options.data, training, replace(training, images=10)]
    unseen = unseen_images(seen, 5_000, original)
    assert refit["check"]["total"] == len(unseen)
    known = {image.tobytes() for each in seen for image in load_images(each, original).images}
    assert not known & {image.tobytes() for image in unseen.images}
    everything = load_images(replace(options.data, images=None), original)
    assert len(known) + len(unseen) == len(everything)
    if pick == "accuracy_drop<60":
        assert refit["check"]["accuracy_drop"] < 60
    if pick == "parameter_drop>5":
        assert result.parameter_drop > 5


def test_without_a_pick_it_is_best_with_other_weights(finished, tmp_path):
    plain = export_run(finished, tmp_path / "plain")
    refit = export_run(finished, tmp_path / "refit", refit=True)
    assert plain.refit is None
    assert (plain.sha256, plain.parameters) == (refit.sha256, refit.parameters)
    weights = [model_directory.load(tmp_path / name).digest() for name in ("plain", "refit")]
    assert weights[0] != weights[1]


def test_of_the_finalists_the_one_that_drops_most_is_taken(finished):
    """All finalists refitted, against those that the bisection asks."""
    saved = SavedRun.open(finished)
    genome, refitter, asked = saved.problem.genome, Refitter(saved, 12), []

    def refit(mask):
        asked.append(refitter(mask))
        return asked[-1]

    found = refitted_choice(refit, saved, "accuracy_drop<50,parameters>1")
    assert found.drop < 50
    fewer = [
        each
        for each in asked
        if (~each.mask).sum() and genome(each.mask[None]).parameters[0] < _size(genome, found)
    ]
    assert all(each.drop >= 50 for each in fewer)
    with pytest.raises(OptionError, match="fits none of the"):
        refitted_choice(refit, saved, "accuracy_drop<-99")
    # A lower bound leads the bisection nowhere else.
    both = refitted_choice(refit, saved, f"accuracy_drop<50,accuracy_drop>={found.drop},parameters>1")
    assert (both.mask == found.mask).all()
    with pytest.raises(OptionError, match="fits none of the"):
        refitted_choice(refit, saved, f"accuracy_drop<50,accuracy_drop>{found.drop},parameters>1")


def _size(genome, found):
    return genome(found.mask[None]).parameters[0]


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_first_that_holds_is_found_and_was_asked(count, first):
    asked = []

    def holds(place):
        asked.append(place)
        return place >= first

    found = first_that(holds, count)
    assert found == (first if first < count else None)
    assert found is None or found in asked
    assert len(asked) <= count.bit_length()


def test_a_search_that_saw_everything_is_judged_by_its_own_images(tiny_directory, tiny_data, tmp_path, capsys):
    run = tmp_path / "run"
    start_search(
        run, SearchOptions(str(tiny_directory), DataOptions(f"npz:{tiny_data}"), generations=0, settings=SETTINGS)
    )
    assert main.run(["export", str(run), str(tmp_path / "pruned"), "--refit", "--json"]) == 0
    output = capsys.readouterr()
    assert "check" not in json.loads(output.out)["refit"]
    assert "the search saw all training images" in output.err


def test_images_of_which_the_model_gets_none_right_judge_nothing(tiny_directory, tiny_images, tmp_path, capsys):
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
    arguments = ["export", str(run), str(tmp_path / "pruned"), "--refit", "--refit-images", str(IMAGES)]
    assert main.run([*arguments, "--pick", "accuracy_drop<100", "--json"]) == 0
    output = capsys.readouterr()
    assert "check" not in json.loads(output.out)["refit"]
    assert "none of the 25 training images right that the search did not see" in output.err
    np.savez(data, x_train=images, y_train=(answers + 1) % 3)
    with pytest.raises(DataError, match="gets none of the fitness images"):
        Refitter(SavedRun.open(run), 12)


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


def test_data_without_a_training_split_is_refused(finished, tiny_directory, monkeypatch):
    saved = SavedRun.open(finished)
    monkeypatch.setattr(datasets, "available_splits", lambda data, data_dir=None: ("test",))
    with pytest.raises(DataError, match="`refit` needs training images"):
        Refitter(saved, 12)
    assert unseen_images([saved.options.data], 10, saved.problem.model) is None


def test_unseen_images_are_a_seeded_part(tiny_directory, tiny_data):
    model = model_directory.load(tiny_directory)
    data = DataOptions(f"npz:{tiny_data}", images=IMAGES)
    few, again = (unseen_images([data], 7, model) for _ in range(2))
    other = unseen_images([replace(data, seed=1)], 7, model)
    assert len(few) == 7
    assert np.array_equal(few.images, again.images)
    assert not np.array_equal(few.images, other.images)
