"""Searches with compensation, from the command line's options to the exported network."""

import shutil
from contextlib import contextmanager
from dataclasses import fields, replace

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from engine.errors import DataError, OptionError, RunError
from engine.run.directory import RunDirectory
from experiments.baselines.method_comparison import compare_baselines
from experiments.baselines.options import BaselineOptions
from experiments.data.options import DataOptions
from experiments.measurement.measuring import evaluate_model
from experiments.report.results.speed import measure_speed
from experiments.report.run import make_report
from experiments.runs.exporting.export import export_run
from experiments.runs.knowledge.compensation import MomentsArtifact, gather
from experiments.runs.options import SearchOptions
from experiments.runs.scoring import score_masks
from experiments.runs.search import resume_search, start_search
from fitness.genome import Genome
from models import model_directory
from models.arrays import arrays_of
from models.compensation.method import COMPENSATIONS, Compensation
from models.errors import CompensationError
from tests.support.runs import GENERATIONS, SETTINGS, options_for

LINEAR = {"compensate": "linear", "compensation_images": 30}


def forbidden(*_, **__):
    raise AssertionError("a gradient was taken")


@contextmanager
def gradient_free():
    """A place in which no gradient can be taken and no weight trained."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (jax, nnx):
            for name in ("grad", "value_and_grad", "vjp", "jvp", "linearize", "jacrev", "jacfwd"):
                if hasattr(module, name):
                    patch.setattr(module, name, forbidden)
        patch.setattr(nnx.Optimizer, "update", forbidden)
        patch.setattr(optax, "apply_updates", forbidden)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_directory, tiny_data):
    """A search in which no gradient can be taken."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    weights = (tiny_directory / "weights.safetensors").read_bytes()
    with gradient_free():
        result = start_search(path, options_for(tiny_directory, tiny_data, **LINEAR))
    assert (tiny_directory / "weights.safetensors").read_bytes() == weights
    return path, result


QUALITY = replace(SETTINGS, population=12, mutate="bits,budget", crossover="layers")


@pytest.mark.parametrize("seeds", ["magnitude,reconstruction", "taylor-squared"])
def test_no_gradient_is_taken_where_the_search_knows_the_network(tiny_directory, tiny_data, tmp_path, seeds):
    """Taylor takes those of the loss by activations, once, before generation 0; the search then takes none."""
    run = tmp_path / "run"
    weights = (tiny_directory / "weights.safetensors").read_bytes()
    changes = {"seed_with": seeds, "climb": True, "floor": "0,0.2", "settings": QUALITY, "prune": "all", **LINEAR}
    options = options_for(tiny_directory, tiny_data, generations=0, **changes)
    if seeds == "taylor-squared":
        start_search(run, options)
    with gradient_free():
        result = resume_search(run, generations=3) if run.exists() else start_search(run, options)
    assert result.best["parameter_drop"] > 0
    assert (tiny_directory / "weights.safetensors").read_bytes() == weights


def test_the_search_finds_something_and_best_scores_the_same(finished, tiny_directory, tiny_data, tmp_path):
    path, result = finished
    assert result.best["parameter_drop"] > 0
    mask = RunDirectory.open(path).latest(pytest.fail).state.best.individual.mask
    np.save(tmp_path / "mask.npy", mask)
    data = DataOptions(f"npz:{tiny_data}", seed=0)
    scored = score_masks(tiny_directory, tmp_path / "mask.npy", data, **LINEAR)
    assert scored.correct == [result.best["correct"]]


def test_the_exported_network_carries_it(finished, tiny_directory, tiny_data, tmp_path):
    run, result = finished
    exported = export_run(run, tmp_path / "pruned")
    assert exported.max_logit_difference < 1e-4
    for split, correct in (("test", result.held_out.correct), ("train", result.best["correct"])):
        measured = evaluate_model(tmp_path / "pruned", DataOptions(f"npz:{tiny_data}", split=split))
        assert measured.correct == correct
    notes = model_directory.load(tmp_path / "pruned").notes["pruned_from"]
    assert notes["compensation"] == "linear"
    # What a plain cut of the same mask gives is another network.
    arrays = model_directory.load(tmp_path / "pruned").network.stages[1].convolution.bias[...]
    original = model_directory.load(tiny_directory).network.stages[1].convolution.bias[...]
    assert not np.isin(np.asarray(arrays), np.asarray(original)).all()


def test_the_report_is_of_the_compensated_network(finished, tmp_path, monkeypatch):
    run, result = finished
    timed = []

    def measured(original, pruned, normalisation):
        timed.append(arrays_of(pruned))
        return measure_speed(original, pruned, normalisation)

    monkeypatch.setattr("experiments.report.results.run_results.measure_speed", measured)
    report = make_report(run)
    assert "| linear" in (run / "report" / "report.md").read_text()
    assert "--compensate linear" in report["command"]
    assert np.trace(report["classes"]["confusion"]) == result.held_out.correct
    export_run(run, tmp_path / "pruned")
    for name, array in arrays_of(model_directory.load(tmp_path / "pruned").network).items():
        np.testing.assert_array_equal(timed[0][name], array)


def test_a_comparison_scores_best_with_it_and_the_others_without(finished, tiny_directory, tiny_data, tmp_path):
    run, result = finished
    options = BaselineOptions(DataOptions(f"npz:{tiny_data}"), methods="random", threshold=20.0)
    compared = compare_baselines(tiny_directory, options, run=run)
    assert compared["run"]["correct"] == result.best["correct"]
    assert "| BEST of the run, compensated by linear" in compared["table"]
    alone = compare_baselines(tiny_directory, options)
    assert compared["methods"] == alone["methods"]


@pytest.mark.parametrize("damage", ["missing", "cut", "another"])
def test_moments_that_are_not_the_runs_are_refused(finished, tmp_path, damage):
    run = shutil.copytree(finished[0], tmp_path / "run")
    moments = run / "moments.safetensors"
    content = moments.read_bytes()
    moments.unlink()
    if damage != "missing":
        moments.write_bytes(content[:-100] if damage == "cut" else content[:-8] + bytes(8))
    for command in (resume_search, make_report, lambda path: export_run(path, tmp_path / "pruned")):
        with pytest.raises(RunError, match=r"moments\.safetensors.*restore it"):
            command(run)
    assert not (tmp_path / "pruned").exists()


def renamed(products):
    first = min(products)
    return {**{name: products[name] for name in products if name != first}, "conv9_9.kernel": products[first]}


@pytest.mark.parametrize(
    "change",
    [
        renamed,
        lambda products: dict(list(products.items())[1:]),
        lambda products: {**products, "conv9_9.kernel": np.eye(3)},
        lambda products: {name: array[1:, 1:] for name, array in products.items()},
        lambda products: {name: array.ravel() for name, array in products.items()},
        lambda products: {name: array.astype(np.float32) for name, array in products.items()},
        lambda products: {name: array * np.nan for name, array in products.items()},
        lambda products: {name: array * 1e300 for name, array in products.items()},
        lambda products: {name: -array for name, array in products.items()},
    ],
)
def test_moments_of_something_else_are_refused_though_their_digest_is_right(
    finished, tiny_directory, tiny_data, tmp_path, change
):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    products = change(load_file(run / "moments.safetensors"))
    save_file(
        {name: np.ascontiguousarray(array) for name, array in products.items()}, run / "moments.safetensors"
    )
    opened = RunDirectory.open(run)
    digest = {MomentsArtifact.entry: MomentsArtifact().digest(Compensation("linear", products))}
    opened.write_description({**opened.description(), **digest})
    compared = BaselineOptions(DataOptions(f"npz:{tiny_data}"), methods="random", threshold=20.0)
    for command in (
        lambda: resume_search(run, generations=GENERATIONS + 1),
        lambda: make_report(run),
        lambda: export_run(run, tmp_path / "pruned"),
        lambda: compare_baselines(tiny_directory, compared, run=run),
    ):
        with pytest.raises(RunError, match=r"moments\.safetensors (does not fit|holds no).*restore it\."):
            command()
    assert not (tmp_path / "pruned").exists()


def test_what_cannot_be_compensated_is_refused(tiny_directory, tiny_data, tmp_path):
    with pytest.raises(CompensationError, match="`compensate` must be one of"):
        options_for(tiny_directory, tiny_data, compensate="magic")
    with pytest.raises(OptionError, match="`compensation_images`"):
        options_for(tiny_directory, tiny_data, compensation_images=0)
    arrays = dict(np.load(tiny_data))
    np.savez(tmp_path / "test.npz", x_test=arrays["x_test"], y_test=arrays["y_test"])
    options = options_for(tiny_directory, tmp_path / "test.npz", compensate="linear")
    with pytest.raises(DataError, match="no train split"):
        start_search(tmp_path / "run", replace(options, data=replace(options.data, split="test")))
    assert not (tmp_path / "run").exists()


def test_the_same_training_images_whatever_is_searched_on(tiny_model, tiny_data):
    genome = Genome.of(tiny_model.network)
    train, test = (
        gather(tiny_model, genome, "linear", 10_000, DataOptions(f"npz:{tiny_data}", split=split))
        for split in ("train", "test")
    )
    assert train.digest() == test.digest()
    assert gather(tiny_model, genome, "none", 10, DataOptions("nothing")) is None


def test_the_command_line_knows_every_method():
    [choices] = [field.metadata["choices"] for field in fields(SearchOptions) if field.name == "compensate"]
    assert choices == ("none", *COMPENSATIONS)
