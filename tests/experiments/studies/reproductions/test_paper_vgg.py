"""The thesis's experiment: its page, searches that are continued, and SVHN without a test split."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import OptionError, RunError
from experiments.cli import main
from experiments.data import datasets
from experiments.data.options import DataOptions
from experiments.progress import Silent
from experiments.runs.options import SearchOptions
from experiments.studies.reproductions import paper_vgg, run_reproduction
from experiments.studies.reproductions.common.bases import adopt, load_given
from experiments.studies.reproductions.paper_vgg import QUICK, run
from experiments.studies.reproductions.paper_vgg_page import CIFAR, SVHN
from experiments.studies.reproductions.svhn import svhn
from experiments.training.train import NetworkOptions
from models import model_directory
from models.model_directory import Model
from models.networks.registry import NETWORKS
from models.normalisation import Normalisation
from tests.support.data_files import pictures, write_parquet

LENET = NetworkOptions("lenet5", width_multiplier=0.35)
TINY = replace(
    QUICK, images=50, generations=1, variant_images=50, variant_generations=1, digits=(LENET, LENET), epochs=1
)


@pytest.fixture(
    scope="module",
    params=[pytest.param(plan, marks=pytest.mark.slow) for plan in (TINY, QUICK)],
    ids=["tiny", "quick"],
)
def finished(request, tmp_path_factory):
    """The plan, the folder of the finished experiment, and its result."""
    plan, out = request.param, tmp_path_factory.mktemp("paper") / "out"
    return plan, out, run(out, plan=plan, data_dir=None, reporter=Silent())


def test_the_page_shows_what_the_searches_found(finished):
    _, out, result = finished
    assert list(result["networks"]) == ["vgg16", "vgg19"]
    page = Path(result["page"]).read_text()
    for key, reported in (("vgg16", CIFAR), ("vgg19", SVHN)):
        assert f"{reported.parameters[0]:,}" in page
        for threshold in ("2", "0"):
            found = result["networks"][key][threshold]
            drop = found["best"]["accuracy_drop"]
            # Exclusive, but for the unpruned network, where a search begins.
            assert drop < float(threshold) or found["best"]["removed_filters"] == 0
            assert f"{found['best']['parameters']:,}" in page
            assert found["held_out"]["split"] == "test"
            journal = (out / "runs" / f"{key}-threshold{threshold}" / "journal.jsonl").read_text()
            assert json.loads(journal.splitlines()[-1])["best"]["sha256"] == found["best"]["sha256"]
    for number in ("4.1", "4.2", "4.3", "4.4", "4.5", "4.6"):
        assert f"(Figure {number})" in page
    assert len(list(out.glob("figure*.png"))) == page.count("](figure") == 7
    assert list(result["variants"]) == list(paper_vgg.VARIANTS)
    for name, found in result["variants"].items():
        drops = (found["best"]["parameter_drop"], found["best"]["mac_drop"])
        row = next(line for line in page.splitlines() if line.startswith(f"| {name} "))
        cells = [cell.strip() for cell in row.split("|")[2:-1]]
        assert cells[1:4] == [f"{found['evaluations']:,}", *(f"{drop:.2f}" for drop in drops)]


def test_variants_change_what_they_say_alone():
    searched = {
        name: paper_vgg._search_options(variant.values, Path("m"), DataOptions("digits"), 100, 7, 2.0)
        for name, variant in paper_vgg.VARIANTS.items()
    }
    thesis, least, most, pairs, masks, quality = searched.values()
    assert thesis == SearchOptions("m", thesis.data, generations=7)
    for other, changed in ((least, "initial_removal"), (most, "initial_removal"), (pairs, "pairing")):
        was = getattr(thesis.settings, changed)
        assert other != thesis
        assert replace(other, settings=replace(other.settings, **{changed: was})) == thesis
    assert not masks.finish
    assert not quality.finish
    assert (masks.compensate, quality.compensate) == ("none", "linear")


def test_more_generations_continue_the_searches_and_fewer_change_nothing(finished, tmp_path, undrawn):
    plan, out, before = finished

    def again(**options):
        return run(out, plan=plan, data_dir=None, reporter=Silent(), **options)

    more = again(generations=plan.generations + 1)
    for key, by_threshold in more["networks"].items():
        for threshold, found in by_threshold.items():
            assert found["generation"] == plan.generations + 1
            earlier = before["networks"][key][threshold]["best"]
            assert found["best"]["parameter_drop"] >= earlier["parameter_drop"]
    assert again() == more
    with pytest.raises(RunError, match="is another model than"):
        again(model=_with_other_weights(out / "models" / "vgg16", tmp_path / "other"))


def _with_other_weights(directory, other):
    """The directory of the same network, initialised anew."""
    model = model_directory.load(directory)
    network = model.network.architecture.build(99)
    model_directory.save(other, Model(network, model.normalisation, model.classes))
    return other


def test_a_given_network_is_searched_like_the_networks_of_the_document(finished):
    plan, out, _ = finished
    # As many as the test of continued searches has.
    more = {"data_dir": None, "reporter": Silent(), "generations": plan.generations + 1}
    result = run(out, plan=plan, vgg19=out / "models" / "vgg19", **more)
    networks = result["networks"]

    def findings(key):
        return {threshold: {**found, "hours": None} for threshold, found in networks[key].items()}

    assert findings("vgg19-cifar10") == findings("vgg19")
    page = Path(result["page"]).read_text()
    assert "## VGG-19 on CIFAR-10" in page
    assert page.splitlines()[4].endswith("--quick`")
    # The network is part of the experiment from now on.
    assert run(out, plan=plan, **more) == result


def test_what_the_document_reports_is_what_our_networks_cost():
    """The two base networks by their names in the registry, counted from their arrays' shapes."""
    from models.cost import network_cost

    for name, reported in (("vgg16", CIFAR), ("vgg19", SVHN)):
        network = NETWORKS[name](classes=10, input_shape=(32, 32, 3)).blank()
        assert network_cost(network) == (reported.parameters[0], reported.macs[0])


def test_crops_of_one_photograph_stay_together(tmp_path):
    labels = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    crops = pictures(11)
    write_parquet(tmp_path / "svhn" / "data" / "train-00000-of-00001.parquet", crops, labels)
    options, whole = svhn(tmp_path / "out", str(tmp_path))
    assert not whole
    train, test = (datasets.load(options.data, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (9, 2)
    given = datasets.load("svhn", "train", data_dir=tmp_path)
    assert np.array_equal(np.concatenate([train.images, test.images]), given.images)
    assert np.array_equal(np.concatenate([train.labels, test.labels]), labels)
    write_parquet(tmp_path / "svhn" / "data" / "test-00000-of-00001.parquet", crops, labels)
    assert svhn(tmp_path / "out", str(tmp_path))[1]


def test_a_model_is_copied_once_and_no_other_takes_its_place(tmp_path, tiny_directory, tiny_model):
    place = tmp_path / "models" / "vgg16"
    adopt(tiny_model, place)
    adopt(tiny_model, place)
    assert model_directory.load(place).digest() == tiny_model.digest()
    other = _with_other_weights(tiny_directory, tmp_path / "other")
    with pytest.raises(RunError, match="is another model than"):
        adopt(model_directory.load(other), place)


@pytest.mark.parametrize(
    ("experiment", "option"), [("paper-vgg", "model"), ("paper-vgg", "vgg19"), ("taylor-resnet20", "model")]
)
def test_another_network_than_the_experiment_is_about_is_refused(
    tmp_path, tiny_directory, capsys, experiment, option
):
    out = tmp_path / "out"
    given = [f"--{option}", str(tiny_directory)]
    assert main.run(["reproduce", experiment, str(out), *given]) == 2
    assert f"--{option} {tiny_directory} is no" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "changes", "shares"),
    [("vgg19", {}, True), ("vgg19", {"hidden": ()}, True), ("vgg16", {}, False), ("resnet20", {}, False)],
)
def test_a_network_is_known_by_its_layers_and_not_by_its_widths(tmp_path, name, changes, shares):
    network = replace(NETWORKS[name](width_multiplier=0.1), **changes).build(0)
    classes = tuple(map(str, range(10)))
    model_directory.save(tmp_path / "m", Model(network, Normalisation((0.5,) * 3, (0.2,) * 3), classes))
    with nullcontext() if shares else pytest.raises(OptionError, match="is no vgg19"):
        load_given("vgg19", tmp_path / "m", "vgg19")


@pytest.mark.parametrize(("option", "value"), [("images", 0), ("images", -3), ("generations", -1)])
def test_a_budget_of_nothing_is_refused_before_any_training(tmp_path, capsys, option, value):
    out = tmp_path / "out"
    assert main.run(["reproduce", "paper-vgg", str(out), "--quick", f"--{option}", str(value)]) == 2
    assert f"--{option} must be at least" in capsys.readouterr().err
    assert not out.exists()


def test_an_option_that_an_experiment_lacks(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paper_vgg, "run", lambda out, *, plan, data_dir, reporter: {})
    with pytest.raises(OptionError, match="paper-vgg has no --images"):
        run_reproduction("paper-vgg", tmp_path / "out", reporter=Silent(), options={"images": 3})
    assert main.run(["reproduce", "paper-vgg", str(tmp_path / "out"), "--images", "3"]) == 2
    assert "paper-vgg has no --images" in capsys.readouterr().err
