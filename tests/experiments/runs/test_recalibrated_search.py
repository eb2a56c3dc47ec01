"""Searches that recalibrate batch norms, from the options to the exported network."""

import json
from dataclasses import replace

import numpy as np
import pytest

from engine.errors import OptionError, RunError
from experiments.cli.main import run as main
from experiments.data.calibration import calibration_places
from experiments.data.datasets import subset
from experiments.data.options import DataOptions
from experiments.measurement.measuring import evaluate_model
from experiments.runs.exporting.export import export_run
from experiments.runs.finish.judging import Judge
from experiments.runs.knowledge.compensation import calibration_of, gather
from experiments.runs.options import SearchOptions
from experiments.runs.search import resume_search, start_search
from fitness.genome import Genome
from models import model_directory
from models.arrays import arrays_of
from models.errors import CompensationError
from tests.support.runs import Listening, options_for

CHOSEN = {"compensate": "linear+recalibrate", "compensation_images": 30, "calibration_images": 25}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, normed_directory, tiny_data):
    run, listening = tmp_path_factory.mktemp("runs") / "run", Listening()
    options = options_for(normed_directory, tiny_data, generations=2, force=True, threshold=60.0, **CHOSEN)
    options = replace(options, data=replace(options.data, images=10))
    return run, options, start_search(run, options, reporter=listening), listening.sentences


def test_the_exported_network_counts_as_the_search_did(finished, tiny_data, normed_directory, tmp_path):
    run, options, result, _ = finished
    assert result.best["parameter_drop"] > 0
    exported = export_run(run, tmp_path / "pruned")
    assert exported.differing_predictions == 0
    for data, correct in (
        (DataOptions(f"npz:{tiny_data}", split="test"), result.held_out.correct),
        (options.data, result.best["correct"]),
    ):
        assert evaluate_model(tmp_path / "pruned", data).correct == correct
    assert model_directory.load(tmp_path / "pruned").notes["pruned_from"]["compensation"] == "linear+recalibrate"
    statistics = [
        arrays_of(model_directory.load(path).network)["unit2_1.second.norm.var"]
        for path in (tmp_path / "pruned", normed_directory)
    ]
    assert not np.isin(*statistics).any()


@pytest.mark.slow
def test_a_refit_is_recalibrated_too(finished, tmp_path, monkeypatch):
    run, _, _, _ = finished
    monkeypatch.setattr(Judge, "drop", lambda judge, judged: -99.0 if judged.refitted else 99.0)
    exported = export_run(run, tmp_path / "pruned", refit=True, refit_images=30)
    assert exported.differing_predictions == 0
    plain = export_run(run, tmp_path / "plain")
    assert (exported.refit_images, plain.refit_images) == (20, None)
    found, before = (arrays_of(model_directory.load(tmp_path / name).network) for name in ("pruned", "plain"))
    assert not np.array_equal(found["unit2_1.second.norm.var"], before["unit2_1.second.norm.var"])


def test_the_run_tells_which_images_it_measured_on(finished):
    run, _, _, sentences = finished
    description = json.loads((run / "run.json").read_text())
    assert description["calibration"] == {"images": 25, "fitness_images": 0}
    assert len(description["calibration_digest"]) == 64
    assert any("measured on 25 training images, none of them a fitness image." in each for each in sentences)


def test_other_images_are_refused(finished, tiny_data, tmp_path):
    run, _, _, _ = finished
    arrays = dict(np.load(tiny_data))
    fitness = subset(40, 10, 0)
    for place in np.setdiff1d(np.arange(40), fitness):
        arrays["x_train"][place] = 255 - arrays["x_train"][place]
    np.savez(tmp_path / "other.npz", **arrays)
    for command in (
        lambda: resume_search(run, data_dir=str(tmp_path / "other.npz")),
        lambda: export_run(run, tmp_path / "pruned", data_dir=str(tmp_path / "other.npz")),
    ):
        with pytest.raises(RunError, match=r"calibration images .* not those .* give them with `data_dir`"):
            command()
    assert not (tmp_path / "pruned").exists()


@pytest.mark.parametrize(
    ("split", "images", "count", "shared"),
    [
        ("train", 10, 25, 0),
        ("train", 20, 25, 5),
        ("train", None, 25, 25),
        ("train", 10, 99, 10),
        ("test", 5, 25, 0),
    ],
)
def test_calibration_images_are_no_fitness_images_as_far_as_there_are_others(
    tiny_data, tiny_model, split, images, count, shared
):
    data = DataOptions(f"npz:{tiny_data}", split=split, images=images, seed=4)
    places, found = calibration_places(data, count)
    assert found == shared
    assert len(places) == min(count, 40)
    assert (np.diff(places) > 0).all()
    fitness = subset(40, images, 4) if split == "train" else []
    assert len(np.intersect1d(places, fitness)) == shared
    np.testing.assert_array_equal(calibration_places(data, count)[0], places)


@pytest.mark.parametrize(("method", "instead"), [("recalibrate", "none"), ("linear+recalibrate", "linear")])
def test_a_network_without_batch_norm_is_refused(tiny_model, tiny_data, method, instead):
    data = DataOptions(f"npz:{tiny_data}")
    with pytest.raises(CompensationError, match=f"batch norms, and tiny has none.* give `compensate` {instead}"):
        gather(tiny_model, Genome.of(tiny_model.network), method, 10, data)


@pytest.mark.parametrize("count", [-1, 0, 1])
def test_too_few_images_are_refused(count):
    with pytest.raises(OptionError, match=f"`calibration_images` must be 2 or more, not {count}"):
        SearchOptions("m", DataOptions("digits"), calibration_images=count)


def search(model, data, run, *options):
    return main(
        [
            "search",
            str(run),
            "--model",
            str(model),
            "--data",
            f"npz:{data}",
            "--force",
            "--generations",
            "0",
            *options,
        ]
    )


@pytest.mark.parametrize(
    ("images", "sentence"),
    [(10, "none of them a fitness image"), (20, "5 of them fitness images too"), (None, "all of them fitness")],
)
def test_a_search_says_which_images_it_takes(tiny_model, tiny_data, images, sentence):
    listening = Listening()
    calibration_of(tiny_model, DataOptions(f"npz:{tiny_data}", images=images), 25, listening)
    assert any(f"measured on 25 training images, {sentence}" in each for each in listening.sentences)


def test_other_calibration_images_have_another_digest(tiny_model, tiny_data):
    data = DataOptions(f"npz:{tiny_data}", images=10)
    found = [calibration_of(tiny_model, chosen, 20).digest() for chosen in (data, replace(data, seed=1))]
    found += [calibration_of(tiny_model, data, count).digest() for count in (19, 20)]
    assert found[0] == found[3]
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--compensate", "linear", "--calibration-images", "9"), "--calibration-images has no effect"),
        (("--compensate", "recalibrate", "--compensation-images", "9"), "--compensation-images has no effect"),
    ],
)
def test_options_are_not_left_without_effect(normed_directory, tiny_data, tmp_path, capsys, options, sentence):
    assert search(normed_directory, tiny_data, tmp_path / "run", *options) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
