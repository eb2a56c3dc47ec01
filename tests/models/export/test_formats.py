"""One contract for every export format: what its own runtime makes of it is the masked network."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ExportError, StoreError
from models.export.parity import compared, write_checked
from models.export.registry import FORMATS, named
from models.model_directory import Model
from models.networks.registry import NETWORKS
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from models.pruning import prune
from tests.models.support.numpy_networks import defined
from tests.models.support.small_networks import VARIANTS, filled, positive, random_keeps, small

NORMALISATION = Normalisation((0.4, 0.5), (0.3, 0.2))


@pytest.fixture(params=FORMATS, scope="module")
def chosen(request):
    if request.param == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    return FORMATS[request.param]


@cache
def masked_and_pruned(batch_norm, seed, blocks=((4, 5), (6,)), hidden=(8,), size=(8, 8)):
    """A network of two input channels, a mask that leaves any number of filters, and what it leaves."""
    architecture = VGGArchitecture("any", blocks, hidden, 3, (*size, 2), batch_norm, dropout=0.2)
    network = positive(architecture, seed % 1000)
    rng = np.random.default_rng(seed)
    keeps = random_keeps(network.filter_groups, rng)
    smaller = Model(prune(network, keeps), NORMALISATION, ("a", "b", "c"), {"note": "kept"})
    return by_definition(smaller), smaller


def by_definition(smaller):
    """The logits of a pruned network in NumPy, as those of the masked one are; no shape costs a compilation."""
    return lambda images: defined(smaller.network, images, smaller.normalisation).astype(np.float32)


def random_images(count, size=(8, 8), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 2), dtype=np.uint8)


@settings(max_examples=1)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("batch_norm", [False, True])
def test_exported_equals_masked_at_any_batch(chosen, tmp_path_factory, batch_norm, seed):
    masked, smaller = masked_and_pruned(batch_norm, seed)
    directory = tmp_path_factory.mktemp("export") / "out"
    parity, sizes = write_checked(directory, smaller, chosen, random_images(7), masked)
    assert parity.differing == 0
    assert {path.name: path.stat().st_size for path in directory.iterdir()} == sizes
    predict = chosen.load(directory)
    for count in (1, 7):
        images = random_images(count, seed=count + 1)
        expected = masked(images)
        np.testing.assert_allclose(
            predict(images), expected, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(expected).max())
        )


@pytest.mark.parametrize(
    ("blocks", "hidden", "size"),
    [
        (((3,),), (), (3, 3)),
        (((3,), (4,)), (), (9, 14)),
        (((1,), (1,)), (1, 1), (4, 4)),
        (((5,),), (6,), (16, 16)),
    ],
)
def test_odd_sizes_and_no_hidden_layer(chosen, tmp_path, blocks, hidden, size):
    if chosen.name == "torch" and size[0] != size[1]:
        pytest.importorskip("torch")
    masked, smaller = masked_and_pruned(True, 1, blocks, hidden, size)
    parity, _ = write_checked(tmp_path / "out", smaller, chosen, random_images(5, size), masked)
    assert parity.images == 5


@pytest.mark.parametrize("name", ["resnet20", "lenet5-sigmoid", "convnet", "mlp", "fashion_cnn"])
def test_other_networks_in_onnx(tmp_path, name):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    network = filled(NETWORKS[name](width_multiplier=0.1))
    shape = network.architecture.input_shape
    channels = shape[2]
    keeps = {group.name: np.arange(group.size) < max(1, group.size // 2) for group in network.filter_groups}
    normalisation = Normalisation((0.5,) * channels, (0.25,) * channels)
    smaller = Model(prune(network, keeps), normalisation, tuple("abcdefghij"))
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    parity, _ = write_checked(tmp_path / "out", smaller, FORMATS["onnx"], images, by_definition(smaller))
    assert parity.differing == 0
    if name != "convnet":
        return
    with pytest.raises(
        ExportError, match="`format` torch knows the layouts of a VGG and a ResNet, not of convnet"
    ):
        FORMATS["torch"].files(smaller)


@pytest.mark.parametrize("name", VARIANTS)
def test_what_imported_networks_have_besides_is_exported(chosen, tmp_path, name):
    """Another epsilon, other pools and first layers, and shortcuts that copy channels."""
    if chosen.name == "torch":
        pytest.importorskip("torch")
    if chosen.name in ("native", "stablehlo") and name != "resnet-copied":
        pytest.skip("these two formats know nothing of layers")
    network = small(name)
    normalisation = Normalisation((0.4, 0.5, 0.6), (0.3, 0.2, 0.25))
    keeps = random_keeps(network.filter_groups, np.random.default_rng(3), 0.6)
    smaller = Model(prune(network, keeps), normalisation, tuple("abcd"))
    images = np.random.default_rng(0).integers(0, 256, (3, *network.architecture.input_shape), dtype=np.uint8)
    parity, _ = write_checked(tmp_path / "out", smaller, chosen, images, by_definition(smaller))
    assert parity.differing == 0


def test_what_is_not_the_masked_network_is_not_written(chosen, tmp_path):
    masked, smaller = masked_and_pruned(False, 0)
    with pytest.raises(ExportError, match="logits differ"):
        write_checked(tmp_path / "out", smaller, chosen, random_images(7), lambda images: 2 * masked(images) + 1)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    with pytest.raises(ExportError, match="logits differ"):
        write_checked(tmp_path / "there", smaller, chosen, random_images(7), lambda images: 1 - masked(images))
    assert list((tmp_path / "there").iterdir()) == []


def test_an_occupied_directory_is_left_alone(chosen, tmp_path):
    masked, smaller = masked_and_pruned(False, 0)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(StoreError, match="exists already"):
        write_checked(tmp_path, smaller, chosen, random_images(2), masked)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_description_says_how_to_feed_it(chosen, tmp_path):
    masked, smaller = masked_and_pruned(False, 0)
    write_checked(tmp_path / "out", smaller, chosen, random_images(2), masked)
    if chosen.name == "native":
        return
    described = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (tmp_path / "out" / described["file"]).is_file()
    assert described["format"] == chosen.name
    assert described["input"]["shape"] == (["batch", 2, 8, 8] if chosen.name == "torch" else ["batch", 8, 8, 2])
    assert described["input"]["mean"] == [0.4, 0.5]
    assert described["classes"] == ["a", "b", "c"]
    assert described["note"] == "kept"


def test_names_that_are_no_format():
    with pytest.raises(ExportError, match="`format` must be one of native, stablehlo, onnx, torch"):
        named("tflite")


def test_logits_within_rounding_are_equal_and_others_are_not():
    logits = np.array([[0.0, 1.0, 5.0], [3.0, 3.0, 1.0]], np.float32)
    tied = logits + np.array([[0, 0, 0], [0, 1e-5, 0]], np.float32)
    assert compared(logits, logits).differing == 0
    assert compared(logits, tied).differing == 1
    with pytest.raises(ExportError, match="logits differ"):
        compared(logits, logits + 0.1)
    with pytest.raises(ExportError, match="logits differ"):
        compared(logits, logits * np.nan)
    with pytest.raises(ExportError, match="logits differ"):
        compared(logits, logits[:1])
    near = np.array([[0.0, 2.0, 2.0015]], np.float32)
    with pytest.raises(ExportError, match="1 of 1 images"):
        compared(near, near + np.array([[0, 0.001, -0.001]], np.float32))


def test_a_format_holds_no_path_of_this_machine(chosen, tmp_path):
    masked, smaller = masked_and_pruned(False, 0)
    write_checked(tmp_path / "out", smaller, chosen, random_images(2), masked)
    home = str(Path(__file__).parents[3]).encode()
    for path in (tmp_path / "out").iterdir():
        assert home not in path.read_bytes(), path.name
