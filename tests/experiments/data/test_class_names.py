"""Classes of data go by the names that the model has for them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from experiments.cli import main
from experiments.data.class_names import labelled_as
from experiments.data.datasets import ImageSet, load
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from models import model_directory
from models.classes import Unnamed
from tests.support.command_line import refused, result_of
from tests.support.data_files import write_parquet
from tests.support.named_model import NAMES, folder


def evaluated(capsys, named, data):
    capsys.readouterr()
    assert main.run(["evaluate", str(named[0]), "--data", data, "--json"]) == 0
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
    found = load_images(DataOptions(f"parquet:{path}", split="test"), model_directory.load(directory))
    np.testing.assert_array_equal(found.labels, answers)
    assert (found.labels.dtype, found.classes) == (np.int32, NAMES)


def test_searches_and_fine_tuning_go_by_name_too(capsys, tmp_path, named):
    names = (None, "bee", "cat")
    data, count = folder(tmp_path / "data", named, names, "train")
    folder(tmp_path / "data", named, names, "test")
    few = ["--preset", "masks", "--generations", "0", "--threshold", "50", "--json"]
    capsys.readouterr()
    assert main.run(["search", str(tmp_path / "run"), "--model", str(named[0]), "--data", data, *few]) == 0
    assert json.loads(capsys.readouterr().out)["held_out"]["original_correct"] == count
    for refit in ([], ["--refit"]):
        out = tmp_path / f"pruned{len(refit)}"
        assert main.run(["export", str(tmp_path / "run"), str(out), *refit]) == 0
    quick = ["--epochs", "1", "--augmentation", "none", "--json"]
    capsys.readouterr()
    assert main.run(["finetune", str(named[0]), str(tmp_path / "tuned"), "--data", data, *quick]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy_before"] == 1


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory, named):
    """The same model without names."""
    directory = tmp_path_factory.mktemp("models") / "unnamed"
    model_directory.save(directory, replace(model_directory.load(named[0]), classes=Unnamed.of(3)))
    assert isinstance(model_directory.load(directory).classes, Unnamed)
    return directory, *named[1:]


@pytest.mark.parametrize("names", [("0", None, "2"), ("00", None, "02"), NAMES, ("1", "2", "3")])
def test_a_model_without_names_goes_by_number_where_numbers_settle_it(capsys, tmp_path, unnamed, names):
    data, count = folder(tmp_path, unnamed, names)
    result = evaluated(capsys, unnamed, data)
    assert (result["correct"], result["total"], result["labels_matched"]) == (count, count, "number")
    assert result["warnings"] == []


@pytest.mark.parametrize("names", [(None, "1", "2"), ("1", "2", None), ("ant", None, "cat")])
def test_other_counts_of_classes_are_refused_for_a_model_without_names(capsys, tmp_path, unnamed, names):
    data, _ = folder(tmp_path, unnamed, names)
    evaluate = ["evaluate", unnamed[0], "--data", data]
    refused(capsys, evaluate, "has 3 classes without names", "has 2, called", "import the model with --classes")
    refused(capsys, [*evaluate, "--match-labels", "name"], "needs names and the model has none")


def test_numbers_out_of_order_are_warned_of(tmp_path, unnamed):
    names = tuple(sorted(map(str, range(20))))
    images = set_of(names)
    found = labelled_as(Unnamed.of(20), images)
    np.testing.assert_array_equal(found.labels, images.labels)
    [warning] = found.matching.warnings
    assert "0, 1, 10, 11, 12, ..., as torchvision's ImageFolder sorts folders" in warning
    assert "`classes`" in warning
    known = labelled_as(tuple(map(str, range(20))), images)
    assert [int(known.classes[label]) for label in known.labels] == [int(names[label]) for label in images.labels]
    assert (known.matching.way, known.matching.warnings) == ("name", ())


@pytest.mark.parametrize(
    ("there", "known"),
    [
        (("Cat", "ant", "bee"), NAMES),
        (("ant", "bee ", " cat"), NAMES),
        (("golden_retriever", "tabby-cat"), ("Tabby cat", "Golden Retriever")),
        (("cafe\u0301", "the"), ("the", "caf\u00e9")),
        (("07", "3"), ("3", "7")),
    ],
)
def test_names_that_look_alike_are_the_same(there, known):
    images = set_of(there)
    found = labelled_as(known, images)
    assert found.matching.way == "name"
    assert sorted(found.labels) == list(range(len(known))) if len(there) == len(known) else True
    for before, after in zip(images.labels, found.labels, strict=True):
        assert plain(there[before]) == plain(known[after])


def plain(name):
    import unicodedata

    name = unicodedata.normalize("NFC", name).lower().strip().replace("_", " ").replace("-", " ")
    return name.lstrip("0")


def test_names_that_differ_in_case_alone_need_their_case():
    found = labelled_as(("Cat", "cat"), set_of(("cat", "Cat")))
    assert found.labels.tolist() == [1, 0]
    with pytest.raises(DataError, match="could be that of several classes"):
        labelled_as(("Cat", "cat"), set_of(("CAT", "dog"), labels=[0]))


def test_numbers_for_a_model_with_names_are_their_places(named):
    _, images, answers = named
    data = ImageSet(images, answers.astype(np.int32), Unnamed.of(3), "npz:x", "test")
    found = labelled_as(NAMES, data)
    assert (found.matching.way, found.classes) == ("number", NAMES)
    named_by_number = labelled_as(NAMES, replace(data, classes=("0", "1", "2")))
    np.testing.assert_array_equal(named_by_number.labels, answers)
    with pytest.raises(DataError, match="has images of '0' and the model knows ant, bee, cat"):
        labelled_as(NAMES, replace(data, classes=("0", "1", "2", "3")))
    with pytest.raises(DataError, match="has images of '0'"):
        labelled_as(("1", "2", "3"), replace(data, classes=("0", "1", "2")))


def test_the_user_can_say_that_labels_are_numbers(capsys, tmp_path, named):
    data, count = folder(tmp_path, named, ("x", "y", "z"))
    refused(capsys, ["evaluate", named[0], "--data", data], "has images of 'x'", "--match-labels number")
    result = result_of(capsys, "evaluate", named[0], "--data", data, "--match-labels", "number")
    assert (result["correct"], result["labels_matched"]) == (count, "number")


@pytest.mark.parametrize(
    ("labels", "part"),
    [([1, 2, 3], "labels begin at 0 and those of"), ([0, 7], "has label 7"), ([1, 2], None), ([0, 1], None)],
)
def test_labels_that_are_only_numbers_are_looked_at(labels, part):
    images = set_of(Unnamed.of(max(labels) + 1), labels=labels)
    if part is not None:
        with pytest.raises(DataError, match=part):
            labelled_as(NAMES, images)
    else:
        assert len(labelled_as(NAMES, images).matching.warnings) == 1


def test_training_looks_for_labels_without_images(capsys, tmp_path, named, untrained):
    _, images, answers = named
    np.savez(tmp_path / "from1.npz", images=images, labels=answers + 1)
    np.savez(tmp_path / "gap.npz", images=images, labels=answers * 2)
    quick = ["--model", "lenet5", "--epochs", "1", "--augmentation", "none"]
    train = ["train", tmp_path / "model", *quick, "--data"]
    line = refused(capsys, [*train, f"npz:{tmp_path / 'from1.npz'}"], "no image of the split train has label 0")
    assert "subtract 1" in line
    assert not (tmp_path / "model").exists()
    result = result_of(capsys, *train, f"npz:{tmp_path / 'gap.npz'}")
    assert "has label 1, 3: 2 of the network's 5 outputs" in result["warnings"][0]
    assert result["labels_matched"] == "number"
    assert isinstance(model_directory.load(tmp_path / "model").classes, Unnamed)


def set_of(classes, labels=None):
    labels = np.arange(len(classes)) if labels is None else np.array(labels)
    pixels = np.full((len(labels), 1, 1, 1), 255, np.uint8)
    return ImageSet(
        pixels, labels.astype(np.int32), classes if isinstance(classes, Unnamed) else tuple(classes), "x", "train"
    )


def test_a_class_that_the_model_does_not_know_is_refused(capsys, tmp_path, named):
    data, _ = folder(tmp_path / "data", named, ("ant", "bee", "dog"))
    sentence = "has images of 'dog' and the model knows ant, bee, cat; name classes as the model does"
    refused(capsys, ["evaluate", named[0], "--data", data], f"--data {data} {sentence}")
    refused(capsys, ["finetune", named[0], tmp_path / "tuned", "--data", data, "--split", "test"], sentence)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_equal_names_keep_their_labels(tmp_path, named):
    directory, _, _ = named
    data, _ = folder(tmp_path, named)
    found = load(data, "test", image_size=8)
    taken = load_images(DataOptions(data, split="test"), model_directory.load(directory))
    assert (taken.digest(), taken.matching.way) == (found.digest(), "name")
    repeated = ("ant", "x", "x")
    assert labelled_as(repeated, replace(found, classes=repeated)).digest() == found.digest()
    with pytest.raises(DataError, match="has images of 'bee'"):
        labelled_as(repeated, found)


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
