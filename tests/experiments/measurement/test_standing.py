"""Networks at chance are told from networks that know something, on many images and on few."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.run.directory import RunDirectory
from experiments.data.datasets import ImageSet, StoredImages
from experiments.data.sources.pictures import Form
from experiments.measurement.standing import MOST_IMAGES, Standing, examine, plain_doubts
from models import model_directory
from models.normalisation import Normalisation
from tests.support.command_line import refused, result_of


def balanced(classes, images):
    return np.arange(images) % classes


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=6))
def test_chance_is_that_of_all_orders_of_the_answers(pairs):
    answers, labels = np.array(pairs).T
    found = Standing.of(answers, labels)
    orders = np.array([answers[list(order)] for order in permutations(len(pairs))])
    counts = (orders == labels).sum(axis=1)
    assert found.by_chance == pytest.approx(counts.mean())
    assert found.deviation == pytest.approx(counts.std(), abs=1e-7)


def permutations(count):
    from itertools import permutations as all_of

    return all_of(range(count))


@pytest.mark.parametrize(("classes", "images"), [(2, 60), (10, 100), (20, 100), (20, 2000), (100, 400)])
@pytest.mark.parametrize("seed", range(3))
def test_random_answers_and_one_answer_are_at_chance(classes, images, seed):
    labels = balanced(classes, images)
    answers = np.random.default_rng(seed).permutation(labels)
    assert Standing.of(answers, labels).at_chance
    assert Standing.of(np.full(images, 1), labels).at_chance


@given(st.integers(2, 20), st.integers(1, 60), st.integers(0, 10**6))
def test_few_images_refuse_no_good_network(classes, images, seed):
    labels = np.random.default_rng(seed).integers(0, classes, images)
    found = Standing.of(labels, labels)
    assert not found.at_chance
    assert not found.in_another_order


@pytest.mark.parametrize("images", [4, 10, 20, 50, 200])
def test_networks_that_get_most_images_right_are_hardly_ever_at_chance(images):
    rng = np.random.default_rng(0)
    times = 0
    for _ in range(500):
        labels = rng.integers(0, 10, images)
        answers = np.where(rng.random(images) < 0.7, labels, rng.integers(0, 10, images))
        times += Standing.of(answers, labels).at_chance
    assert times <= 5


def test_a_network_that_finds_rare_classes_is_not_at_chance():
    labels = np.repeat([0, 1], [190, 10])
    answers = np.where(np.arange(200) >= 194, 1, 0)
    found = Standing.of(answers, labels)
    assert not found.at_chance
    assert Standing.of(np.zeros(200, int), labels).at_chance


def test_answers_in_another_order_of_classes_are_found():
    labels = balanced(20, 200)
    order = np.array(sorted(range(20), key=str))
    found = Standing.of(np.argsort(order)[labels], labels)
    assert (found.correct, found.reordered) == (20, 200)
    assert found.in_another_order
    assert not Standing.of(np.random.default_rng(0).permutation(labels), labels).in_another_order


def test_of_images_that_are_not_in_memory_a_sample_is_read(tiny_model):
    height, width, channels = tiny_model.network.architecture.input_shape
    read = []

    def pixels(rows, form, at_once):
        for start in range(0, len(rows), at_once):
            part = rows[start : start + at_once]
            read.extend(part.tolist())
            yield (
                np.repeat(part % 200, height * width * channels)
                .astype(np.uint8)
                .reshape(-1, height, width, channels)
            )

    labels = np.arange(3 * MOST_IMAGES, dtype=np.int32) % 3
    stored = StoredImages(pixels, np.arange(len(labels)), Form(None, "squash", None))
    images = ImageSet(stored, labels, tiny_model.classes, "x", "train")
    assert plain_doubts(tiny_model, images) == ()
    assert len(read) < 100
    read.clear()
    standing = examine(tiny_model, images)
    assert (standing.total, len(read)) == (MOST_IMAGES, MOST_IMAGES)
    assert read == sorted(set(read))
    assert examine(tiny_model, images.decoded()) == standing


@pytest.fixture(scope="module")
def constant(tmp_path_factory, tiny_model):
    """A network that answers "b" to every image."""
    architecture = tiny_model.network.architecture
    network = architecture.build(7)
    network.stages[-1].dense.bias[...] = np.array([0, 1e4, 0], np.float32)
    directory = tmp_path_factory.mktemp("models") / "constant"
    model_directory.save(directory, replace(tiny_model, network=network))
    return directory


FEW = ["--preset", "masks", "--generations", "0", "--population", "4", "--parents", "2", "--threshold", "20"]


def test_a_search_from_chance_is_refused_unless_forced(capsys, tmp_path, constant, tiny_data):
    run, data = tmp_path / "run", ["--data", f"npz:{tiny_data}"]
    search = ["search", run, "--model", constant, *data, *FEW]
    line = refused(
        capsys, search, "no better than chance", "1 of 3 classes", "'b' to every image", "check --data"
    )
    assert line.endswith("--force goes on all the same.")
    assert not run.exists()
    baseline = ["baseline", constant, *data, "--methods", "magnitude", "--out", tmp_path / "out"]
    refused(capsys, baseline, "no better than chance")
    cycles = [
        "prune-finetune",
        constant,
        tmp_path / "cycles",
        *data,
        "--method",
        "random",
        "--epochs-per-step",
        "0",
    ]
    refused(capsys, cycles, "no better than chance")
    assert list(tmp_path.iterdir()) == []
    # The same call again finds the finished directory, and what the first call found.
    for _ in range(2):
        [warning] = result_of(capsys, *cycles, "--force")["warnings"]
        assert "no better than chance" in warning
    result = result_of(capsys, *search, "--force")
    description = RunDirectory.open(run).description()
    assert description["configuration"]["force"] is True
    [warning] = result["warnings"]
    assert "no better than chance" in warning
    assert description["warnings"] == result["warnings"]
    assert description["original"]["images"] == 40


def test_an_evaluation_says_that_it_is_at_chance(capsys, constant, tiny_data):
    [warning] = result_of(capsys, "evaluate", constant, "--data", f"npz:{tiny_data}", "--split", "train")[
        "warnings"
    ]
    assert "no better than chance" in warning
    assert "force" not in warning


def test_images_of_one_class_tell_nothing(capsys, tmp_path, tiny_directory, tiny_images):
    images, labels = tiny_images
    chosen = labels == 0
    np.savez(tmp_path / "one.npz", x_train=images[chosen], y_train=labels[chosen])
    search = [
        "search",
        tmp_path / "run",
        "--model",
        tiny_directory,
        "--data",
        f"npz:{tmp_path / 'one.npz'}",
        *FEW,
    ]
    assert chosen.sum() >= 10
    refused(capsys, search, f"all {chosen.sum()} images are of class 'a'")


def test_a_threshold_that_allows_one_answer_is_told(tiny_model):
    labels = np.repeat([0, 1], [80, 20])
    found = Standing.of(np.where(np.arange(100) < 95, labels, 0), labels)
    assert found.collapse(tiny_model, 2) is None
    told = found.collapse(tiny_model, 20)
    assert told is not None
    assert "'a' to every image gets 80.00%" in told


@pytest.mark.parametrize(
    ("mean", "std", "parts"),
    [
        ((123.675,), (58.395,), ["divide by 255", "mean 0.485 and std 0.229"]),
        (
            (123.675, 116.28, 103.53),
            (58.395, 57.12, 57.375),
            ["mean 0.485,0.456,0.406 and std 0.229,0.224,0.225"],
        ),
        ((123.675,), (1.0,), ["mean 0.485 and std 0.003922"]),
        ((123.675,), (0.229,), ["mean 0.485 and std 0.229"]),
        ((0.5,), (255.0,), ["mean 0.5 and std 1"]),
        ((0.0,), (255.0,), ["mean 0 and std 1"]),
        ((300.0,), (60.0,), ["nor from 0 to 255"]),
        ((0.485,), (58.395,), ["divide by 255", "mean 0.485 and std 0.229"]),
        # 229 is no standard deviation of pixels from 0 to 255, which spread by 127.5 at most.
        ((0.485,), (229.0,), ["nor from 0 to 255; if a decimal point is missing, give mean 0.485 and std 0.229"]),
        ((485.0, 456.0), (229.0, 224.0), ["nor from 0 to 255; if", "mean 0.485,0.456 and std 0.229,0.224"]),
        ((-2.1,), (4.4,), ["not negative"]),
        ((0.0019,), (0.0009,), ["divided by 255 twice"]),
        ((0.229, 0.224, 0.225), (0.485, 0.456, 0.406), ["exchanged"]),
        ((0.2023, 0.1994, 0.2010), (0.4914, 0.4822, 0.4465), ["exchanged"]),
    ],
)
def test_numbers_that_are_not_of_pixels_from_0_to_1_are_told(mean, std, parts):
    doubt = Normalisation(mean, std).doubt()
    assert doubt is not None
    for part in parts:
        assert part in doubt


@given(st.data())
def test_statistics_of_pixels_from_0_to_255_are_divided_by_255(draw):
    shape = (2, 4, 4, draw.draw(st.sampled_from([1, 3])))
    images = np.random.default_rng(draw.draw(st.integers(0, 10**6))).choice([0, 255], shape).astype(np.uint8)
    found = Normalisation.of_images(images)
    scaled = Normalisation(tuple(255 * m for m in found.mean), tuple(255 * s for s in found.std))
    right = " and ".join(
        f"{name} {','.join(f'{number:.4g}' for number in numbers)}"
        for name, numbers in (("mean", found.mean), ("std", found.std))
    )
    assert f"divide by 255: give {right}" in scaled.doubt()


@given(st.data())
def test_statistics_of_images_are_never_doubtful(draw):
    shape = (draw.draw(st.integers(1, 4)), 4, 4, draw.draw(st.sampled_from([1, 3])))
    low, high = sorted(draw.draw(st.lists(st.integers(0, 255), min_size=2, max_size=2)))
    rng = np.random.default_rng(draw.draw(st.integers(0, 10**6)))
    images = rng.integers(low, high + 1, shape, dtype=np.uint8)
    assert Normalisation.of_images(images).doubt() is None


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.0,), (1.0,)), ((0.5,), (0.5,)), ((0.0,), (1 / 255,)), ((0.408,), (1 / 255,)), ((0.1307,), (0.3081,))],
)
def test_conventions_are_not_doubtful(mean, std):
    assert Normalisation(mean, std).doubt() is None


@pytest.mark.parametrize(
    ("mean", "std", "part"),
    [
        ("123.675", "58.395", "give mean 0.485 and std 0.229"),
        ("0.5", "0", "above 0"),
        ("nan", "0.2", "finite"),
        ("0.5,0.5,0.5", "0.2", "`mean` has 3 numbers".replace("`mean`", "--mean")),
    ],
)
def test_an_import_refuses_such_numbers(capsys, tmp_path, mean, std, part):
    arguments = ["import-torch", tmp_path / "none.pt", tmp_path / "model", "--mean", mean, "--std", std]
    refused(capsys, arguments, "--mean", part)
