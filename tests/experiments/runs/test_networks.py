"""Networks other than VGG through the commands: which options fit, which images they see, and a short search."""

import numpy as np
import PIL.Image
import pytest

from experiments.cli import main
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from experiments.data.sources.image_arrays import grey
from models import model_directory
from tests.support.command_line import refused, result_of

SMALL_SEARCH = [
    "--preset",
    "paper",
    "--population",
    "4",
    "--parents",
    "2",
    "--mutation",
    "0.05",
    "--threshold",
    "50",
]


@pytest.fixture(scope="module")
def colour_data(tmp_path_factory):
    """40 + 20 colour images of 18x18, of classes that differ in luma."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = rng.integers(0, 120, (60, 18, 18, 3), dtype=np.uint8) + np.uint8(100) * labels[:, None, None, None]
    path = tmp_path_factory.mktemp("data") / "colour.npz"
    arrays = {"x_train": images[:40], "y_train": labels[:40], "x_test": images[40:], "y_test": labels[40:]}
    np.savez(path, **{name: array.astype(np.uint8) for name, array in arrays.items()})
    return f"npz:{path}"


def test_models_lists_every_network_with_its_input(capsys):
    result = result_of(capsys, "models")
    assert result["mlp"] == {
        "input_shape": [28, 28, 1],
        "parameters": 2_388_710,
        "macs": 784 * 1000 + 1000 * 1000 + 1000 * 500 + 500 * 200 + 200 * 10,
        "prunable_filters": 0,
        "prunable_neurons": 2_700,
    }
    assert {"vgg16", "resnet20", "lenet5", "convnet", "fashion_cnn"} <= result.keys()
    assert main.run(["models"]) == 0
    assert "28x28x1" in capsys.readouterr().out


def test_grey_is_pillows():
    images = np.random.default_rng(0).integers(0, 256, (1030, 5, 7, 3), dtype=np.uint8)
    expected = [np.asarray(PIL.Image.fromarray(image).convert("L"))[..., None] for image in images]
    np.testing.assert_array_equal(grey(images), expected)


@pytest.mark.parametrize(
    ("model", "options", "parts"),
    [
        ("lenet5", ["--batch-norm"], ["lenet5 has no batch norm", "leave out --batch-norm"]),
        ("resnet20", ["--no-batch-norm"], ["resnet20 always has batch norm", "leave out --batch-norm"]),
        ("convnet", ["--image-size", "12"], ["16x16 pixels or more, not 12x12", "--image-size 16"]),
        ("fashion_cnn", ["--image-size", "3"], ["4x4 pixels or more", "--image-size 4"]),
        ("lenet-5", [], ["--model", "lenet5", "mlp", "resnet20"]),
    ],
)
def test_options_that_do_not_apply_are_refused(capsys, tmp_path, model, options, parts):
    refused(capsys, ["train", tmp_path / "new", "--model", model, "--data", "digits", *options], *parts)
    assert not (tmp_path / "new").exists()


def test_a_grey_network_sees_colour_images_in_grey_and_at_its_size(capsys, tmp_path, colour_data, untrained):
    model, run, pruned = tmp_path / "model", tmp_path / "run", tmp_path / "pruned"
    arguments = ["--data", colour_data, "--epochs", "1", "--width-multiplier", "0.2"]
    trained = result_of(capsys, "train", model, "--model", "lenet5", *arguments)
    loaded = model_directory.load(model)
    assert loaded.network.architecture.input_shape == (32, 32, 1)
    assert (
        result_of(capsys, "evaluate", model, "--data", colour_data, "--split", "test")["correct"]
        == trained["correct"]
    )
    seen = load_images(DataOptions(colour_data, split="test"), loaded)
    assert seen.images.shape == (20, 32, 32, 1)
    result_of(
        capsys,
        "search",
        run,
        "--model",
        model,
        "--data",
        colour_data,
        *SMALL_SEARCH,
        "--generations",
        "0",
        "--force",
    )
    result_of(capsys, "export", run, pruned)
    assert result_of(capsys, "evaluate", pruned, "--data", colour_data)["total"] == 20


@pytest.mark.parametrize(
    ("model", "width", "size", "prune"),
    [
        pytest.param("resnet20", 0.3, 8, "convolutions", marks=pytest.mark.slow),
        pytest.param("mlp", 0.05, 28, "all", marks=pytest.mark.slow),
    ],
)
def test_a_short_search_on_digits(capsys, tmp_path, model, width, size, prune):
    directory, run, pruned = tmp_path / "model", tmp_path / "run", tmp_path / "pruned"
    digits = ["--data", "digits", "--images", "100"]
    network = ["--model", model, "--width-multiplier", width, "--image-size", size]
    result_of(
        capsys,
        *("train", directory, *network, *digits),
        *("--augmentation", "none", "--epochs", "1", "--batch-size", "20"),
    )
    # After one epoch a network may be no better than chance.
    search = ["--model", directory, "--prune", prune, "--generations", "1", *SMALL_SEARCH, "--force"]
    found = result_of(capsys, "search", run, *search, *digits)
    exported = result_of(capsys, "export", run, pruned)
    assert exported["parameters"] == found["best"]["parameters"]
    assert exported["removed_filters"] == found["best"]["removed_filters"] > 0
    evaluated = result_of(capsys, "evaluate", pruned, "--data", "digits")
    assert (evaluated["correct"], evaluated["total"]) == (
        found["held_out"]["correct"],
        found["held_out"]["total"],
    )
    assert evaluated["parameters"] == exported["parameters"]
    result_of(capsys, "report", run)


def test_a_network_of_dense_layers_is_searched_with_all(capsys, tmp_path, colour_data, untrained):
    model, data = tmp_path / "model", ["--data", colour_data]
    result_of(capsys, "train", model, "--model", "mlp", *data, "--epochs", "1", "--width-multiplier", "0.02")
    refused(
        capsys,
        ["search", tmp_path / "run", "--model", model, *data, "--preset", "paper"],
        "--prune convolutions: mlp has no such filters; give --prune all.",
    )
    assert not (tmp_path / "run").exists()
