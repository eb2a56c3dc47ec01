"""``--labels original``: what is counted is agreement with the unpruned network, and images need no labels."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from engine.errors import DataError
from engine.run.directory import RunDirectory
from experiments.data.options import DataOptions
from experiments.report.run import make_report
from experiments.runs.exporting.export import export_run
from experiments.runs.search import resume_search
from experiments.runs.watching.status import read_status
from experiments.training.finetune import finetune_model
from fitness.genome import Genome
from models import model_directory
from tests.support.command_line import refused, result_of
from tests.support.html_page import Page
from tests.support.named_model import NAMES, folder
from tests.support.runs import OPTIONS_OF_THE_COMMAND_LINE, traces

SEARCH = (*OPTIONS_OF_THE_COMMAND_LINE, "--labels", "original", "--generations", "2")


def answers_of(model, images, keeps=None):
    """What a network says, by its own forward pass."""
    return np.argmax(model.network(model.normalisation(jnp.asarray(images)), keeps), axis=-1)


@pytest.fixture(scope="module")
def copies(tmp_path_factory, named):
    """The same images: in folders of wrong classes, in a flat folder, as arrays without labels."""
    place = tmp_path_factory.mktemp("copies")
    directory, images, answers = named
    folder(place / "labelled", (directory, images, (answers + 1) % 3), split="train")
    (place / "flat").mkdir()
    for file in (place / "labelled").rglob("*.png"):
        shutil.copy(file, place / "flat")
    np.savez(place / "arrays.npz", images=images)
    return {
        "labelled": f"imagefolder:{place / 'labelled'}",
        "flat": f"imagefolder:{place / 'flat'}",
        "arrays": f"npz:{place / 'arrays.npz'}",
    }


def searched(capsys, run, named, data):
    return result_of(capsys, "search", run, "--model", named[0], "--data", data, *SEARCH)


def test_copies_with_and_without_labels_give_the_same_search(capsys, tmp_path, named, copies):
    found = {name: searched(capsys, tmp_path / name, named, data) for name, data in copies.items()}
    assert len({json.dumps(each["best"]) for each in found.values()}) == 1
    assert len({traces(tmp_path / name)[0] for name in copies}) == 1
    for name, result in found.items():
        assert (result["measure"], result["labels_matched"], result["held_out"]) == (
            "agreement",
            "original",
            None,
        )
        assert any("no held-out agreement" in remark for remark in result["remarks"])
        description = RunDirectory.open(tmp_path / name).description()
        assert description["measure"] == "agreement"
        assert description["original"]["correct"] == description["original"]["images"] == len(named[1])


def test_counts_are_those_of_equal_answers(capsys, tmp_path, named, copies):
    directory, images, answers = named
    model = model_directory.load(directory)
    layout = Genome.of(model.network).layout
    masks = np.array([[True] * 4, [True, False, True, True], [False, True, False, True]])
    np.save(tmp_path / "masks.npy", masks)
    arguments = ["score", directory, tmp_path / "masks.npy", "--data", copies["flat"], "--labels", "original"]
    scored = result_of(capsys, *arguments)
    equal = [int((answers_of(model, images, layout.split(mask)) == answers).sum()) for mask in masks]
    assert scored["correct"] == equal
    assert equal[0] == len(images) > equal[2]
    assert scored["measure"] == "agreement"


def test_a_run_reads_agreement_from_search_to_export(capsys, tmp_path, named, copies, undrawn):
    from experiments.cli import main

    directory, images, answers = named
    place, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(copies["flat"].removeprefix("imagefolder:"), place / "train")
    folder(place, (directory, images[:30], answers[:30]))
    data = f"imagefolder:{place}"
    options = ["--model", str(directory), "--data", data, *SEARCH]
    assert main.run(["search", str(run), *map(str, options)]) == 0
    lines = capsys.readouterr().out
    assert "agreement drop" in lines
    assert "held-out agreement (test) 100.00% ->" in lines
    assert "labels matched to the unpruned network's own answers" in lines
    assert "accuracy" not in lines
    assert main.run(["status", str(run)]) == 0
    assert "agreement drop" in capsys.readouterr().out
    assert read_status(run).measure == "agreement"
    report = make_report(run)
    assert report["measure"] == "agreement"
    for page in ("report.html", "report.md"):
        text = (run / "report" / page).read_text()
        shown = Page(text).text if page.endswith("html") else text
        assert "Agreement" in shown
        assert "accuracy " not in shown.replace("accuracy_drop", "").replace(str(place), "")
    more = resume_search(run, generations=3)
    assert more.generation == 3
    assert more.facts.measure == "agreement"
    exported = export_run(run, tmp_path / "pruned")
    evaluate = ["evaluate", tmp_path / "pruned", "--data", data, "--split", "train", "--labels", "original"]
    measured = result_of(capsys, *evaluate, "--original", directory)
    assert (measured["correct"], measured["total"]) == (exported.correct, len(images))
    assert measured["measure"] == "agreement"
    smaller = model_directory.load(tmp_path / "pruned")
    assert measured["correct"] == int((answers_of(smaller, images) == answers).sum())
    own = result_of(capsys, *["evaluate", directory, *evaluate[2:]], "--original", directory)
    assert own["accuracy"] == 1
    refused(capsys, evaluate, "--labels original needs the unpruned network", "--original")


def test_baselines_agree_with_the_network_too(capsys, tmp_path, named, copies):
    arguments = ["baseline", named[0], "--data", copies["flat"], "--methods", "magnitude", "--labels", "original"]
    result = result_of(capsys, *arguments, "--out", tmp_path / "out")
    assert result["original_correct"] == result["total"] == len(named[1])
    assert result["measure"] == "agreement"
    assert "agreement" in result["table"]
    assert "accuracy" not in (tmp_path / "out" / "baseline.md").read_text().lower()


def test_answers_of_one_class_teach_nothing(capsys, tmp_path, named, copies):
    model = model_directory.load(named[0])
    model.network.stages[-1].dense.bias[...] = jnp.asarray([0.0, 1e6, 0.0])
    model_directory.save(tmp_path / "constant", model)
    arguments = ["search", tmp_path / "run", "--model", tmp_path / "constant", "--data", copies["flat"], *SEARCH]
    refused(capsys, arguments, f"answers {NAMES[1]!r} to all 90 images", "--force goes on")
    assert not (tmp_path / "run").exists()
    assert result_of(capsys, *arguments, "--force")["best"]["accuracy_drop"] == 0


def test_what_makes_no_sense_with_own_answers_is_refused(capsys, tmp_path, named, copies):
    directory, data = named[0], copies["flat"]
    flat = ["evaluate", directory, "--data", data, "--split"]
    refused(capsys, [*flat, "train"], "has no labels")
    refused(
        capsys, [*flat, "train", "--original", directory], "--original has no effect without --labels original"
    )
    refused(capsys, [*flat, "test", "--labels", "original", "--original", directory], "--split test is not in")
    both = [*flat, "train", "--labels", "original", "--match-labels", "name"]
    refused(capsys, both, "--match-labels has no effect with --labels original")
    refused(capsys, [*flat, "train", "--labels", "mine"], "--labels must be one of data, original")
    with pytest.raises(DataError, match="`labels` original cannot be used to fine-tune"):
        finetune_model(directory, tmp_path / "tuned", DataOptions(data, labels="original"), None)
