"""Classes of data go by the names that the model has for them."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from experiments import cli
from experiments.class_names import labelled_as
from experiments.datasets import ImageSet, load
from experiments.measuring import DataOptions, load_images
from models import store
from models.normalisation import Normalisation
from models.store import Model
from models.vgg import VGGArchitecture
from tests.experiments.data.files import write_folder, write_parquet
from tests.experiments.test_cli import refused

NAMES = ("ant", "bee", "cat")
NORMALISATION = Normalisation((0.5,), (0.25,))


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A model of grey images, and what it answers to 90 of them, 10 at least of each class."""
    network = VGGArchitecture("named", ((4,),), (), 3, (8, 8, 1), dropout=0.0).build(0)
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), dtype=np.uint8)
    logits = np.asarray(network(NORMALISATION(jnp.asarray(images))))
    network.stages[-1].dense.bias[...] = jnp.asarray(-np.median(logits, axis=0))
    answers = np.argmax(network(NORMALISATION(jnp.asarray(images))), axis=-1)
    assert np.bincount(answers, minlength=3).min() >= 10
    directory = tmp_path_factory.mktemp("models") / "named"
    store.save(directory, Model(network, NORMALISATION, NAMES))
    return directory, images, answers


def folder(path, named, names=NAMES, split="test"):
    """The images in folders of what the model answers, so that it is right on all; None has no folder."""
    _, images, answers = named
    rows = [row for row, answer in enumerate(answers) if names[answer] is not None]
    write_folder(path, {f"{split}/{names[answers[row]]}/{row:02}.png": images[row, ..., 0] for row in rows})
    return f"imagefolder:{path}", len(rows)


def evaluated(capsys, named, data):
    capsys.readouterr()
    assert cli.run(["evaluate", str(named[0]), "--data", data, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("lacking", [None, *NAMES])
def test_a_folder_of_some_of_the_classes_is_scored_by_name(capsys, tmp_path, named, lacking):
    data, count = folder(tmp_path, named, [None if name == lacking else name for name in NAMES])
    result = evaluated(capsys, named, data)
    assert (result["correct"], result["total"]) == (count, count)


def test_classes_in_another_order_are_scored_by_name(capsys, tmp_path, named):
    directory, images, answers = named
    order = ("cat", "ant", "bee")
    labels = [order.index(NAMES[answer]) for answer in answers]
    path = write_parquet(tmp_path / "data" / "test-0.parquet", images[..., 0], labels, order)
    assert evaluated(capsys, named, f"parquet:{path}")["accuracy"] == 1
    found = load_images(DataOptions(f"parquet:{path}", split="test"), store.load(directory))
    np.testing.assert_array_equal(found.labels, answers)
    assert (found.labels.dtype, found.classes) == (np.int32, NAMES)


def test_searches_and_fine_tuning_go_by_name_too(capsys, tmp_path, named):
    names = (None, "bee", "cat")
    data, count = folder(tmp_path / "data", named, names, "train")
    folder(tmp_path / "data", named, names, "test")
    few = ["--preset", "masks", "--generations", "0", "--threshold", "50", "--json"]
    capsys.readouterr()
    assert cli.run(["search", str(tmp_path / "run"), "--model", str(named[0]), "--data", data, *few]) == 0
    assert json.loads(capsys.readouterr().out)["held_out"]["original_correct"] == count
    for refit in ([], ["--refit"]):
        out = tmp_path / f"pruned{len(refit)}"
        assert cli.run(["export", str(tmp_path / "run"), str(out), *refit]) == 0
    quick = ["--epochs", "1", "--augmentation", "none", "--json"]
    capsys.readouterr()
    assert cli.run(["finetune", str(named[0]), str(tmp_path / "tuned"), "--data", data, *quick]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy_before"] == 1


def test_folders_named_by_number_are_those_classes_of_a_model_without_names(capsys, tmp_path, named):
    directory, images, answers = named
    model = store.load(directory)
    unnamed = tmp_path / "unnamed"
    store.save(unnamed, replace(model, classes=("0", "1", "2")))
    data, count = folder(tmp_path / "data", named, (None, "1", "2"))
    result = evaluated(capsys, (unnamed, images, answers), data)
    assert (result["correct"], result["total"]) == (count, count)


def test_a_class_that_the_model_does_not_know_is_refused(capsys, tmp_path, named):
    data, _ = folder(tmp_path / "data", named, ("ant", "bee", "dog"))
    sentence = "has images of 'dog' and the model knows ant, bee, cat; name classes as the model does"
    refused(capsys, ["evaluate", named[0], "--data", data], f"--data {data} {sentence}")
    refused(capsys, ["finetune", named[0], tmp_path / "tuned", "--data", data, "--split", "test"], sentence)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_what_is_equal_or_has_no_names_stays_as_it_is(tmp_path, named):
    directory, _, _ = named
    data, _ = folder(tmp_path, named)
    found = load(data, "test", image_size=8)
    assert load_images(DataOptions(data, split="test"), store.load(directory)).digest() == found.digest()
    assert labelled_as(NAMES, found) is found
    numbered = replace(found, classes=("0", "1", "2"))
    for classes, images in ((NAMES, numbered), (("0", "1", "2", "3"), found), (("ant", "x", "x"), found)):
        assert labelled_as(classes, images) is images


@given(st.data())
def test_every_label_keeps_its_name(draw):
    known = draw.draw(st.lists(st.text("abc1", min_size=1), min_size=2, max_size=8, unique=True))
    there = draw.draw(st.permutations([*known[: draw.draw(st.integers(1, len(known)))], "unknown"]))
    labels = np.array(draw.draw(st.lists(st.integers(0, len(there) - 1), min_size=1)), np.int32)
    images = ImageSet(np.zeros((len(labels), 1, 1, 1), np.uint8), labels, tuple(there), "digits", "train")
    if "unknown" in [there[label] for label in labels]:
        with pytest.raises(DataError, match="has images of 'unknown'"):
            labelled_as(tuple(known), images)
    else:
        found = labelled_as(tuple(known), images)
        assert [found.classes[label] for label in found.labels] == [there[label] for label in labels]
