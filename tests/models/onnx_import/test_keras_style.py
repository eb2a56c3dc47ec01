"""A file as converters write it for Keras: NHWC images, folded norms, a computed shape, probabilities."""

import numpy as np
import pytest

helper = pytest.importorskip("onnx.helper")
pytest.importorskip("onnxruntime")

import onnx  # noqa: E402

from models.export import parity  # noqa: E402
from models.export.onnx import ONNX  # noqa: E402
from models.model_directory import Model  # noqa: E402
from models.normalisation import Normalisation  # noqa: E402
from models.onnx_import.importing import import_onnx  # noqa: E402
from models.pruning import prune  # noqa: E402
from tests.models.support.onnx_graphs import CLASSES, runtime_logits, written  # noqa: E402
from tests.models.support.small_networks import random_keeps  # noqa: E402

NORMALISATION = Normalisation((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
AS_THEY_ARE = (0, 1, 2, 3)
NODES = [
    ("Transpose", ["images"], "channels_first", {"perm": [0, 3, 1, 2]}),
    ("Conv", ["channels_first", "conv2d/kernel"], "a", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    # Batch norm, folded to a factor and an offset.
    ("Mul", ["a", "bn/factor"], "b", {}),
    ("Add", ["b", "bn/offset"], "c", {}),
    ("Clip", ["c", "zero", "six"], "d", {}),
    ("Conv", ["d", "depthwise/kernel"], "e", {"group": 6, "auto_pad": "SAME_UPPER"}),
    ("Add", ["e", "depthwise/bias"], "f", {}),
    ("Relu", ["f"], "g", {}),
    ("Conv", ["g", "pointwise/kernel", "pointwise/bias"], "h", {}),
    ("Relu", ["h"], "i", {}),
    ("MaxPool", ["i"], "j", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Transpose", ["j"], "channels_last", {"perm": [0, 2, 3, 1]}),
    # Flatten: the number of images, and the rest.
    ("Shape", ["channels_last"], "shape", {}),
    ("Slice", ["shape", "first", "second", "axis"], "count", {}),
    ("Concat", ["count", "rest"], "flat", {"axis": 0}),
    ("Reshape", ["channels_last", "flat"], "k", {}),
    ("MatMul", ["k", "dense/kernel"], "l", {}),
    ("Add", ["l", "dense/bias"], "m", {}),
    ("Relu", ["m"], "n", {}),
    ("MatMul", ["n", "predictions/kernel"], "o", {}),
    ("Add", ["o", "predictions/bias"], "p", {}),
    ("Softmax", ["p"], "probabilities", {}),
]
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(1)

    def floats(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    numbers = {"first": [0], "second": [1], "axis": [0], "rest": [-1]}
    arrays = {
        "conv2d/kernel": floats(6, 3, 3, 3),
        "bn/factor": floats(1, 6, 1, 1),
        "bn/offset": floats(1, 6, 1, 1),
        "zero": np.float32(0),
        "six": np.float32(6),
        "depthwise/kernel": floats(6, 1, 3, 3),
        "depthwise/bias": floats(1, 6, 1, 1),
        "pointwise/kernel": floats(7, 6, 1, 1),
        "pointwise/bias": floats(7),
        **{name: np.array(value) for name, value in numbers.items()},
        "dense/kernel": floats(7 * 4, 9),
        "dense/bias": floats(9),
        "predictions/kernel": floats(9, CLASSES),
        "predictions/bias": floats(CLASSES),
    }
    nodes = [helper.make_node(kind, read, [made], **given) for kind, read, made, given in NODES]
    return written(
        tmp_path_factory.mktemp("keras") / "model.onnx",
        nodes,
        arrays,
        shape=("batch", 8, 8, 3),
        outputs=[("probabilities", ("batch", CLASSES))],
        producer_name="tf2onnx",
    )


@pytest.fixture(scope="module")
def model(path):
    return import_onnx(path, NORMALISATION).model


def normalised():
    return np.asarray(NORMALISATION(IMAGES.astype(np.float32)), np.float32)


def test_every_layer_but_the_last_can_be_pruned_and_compensated(model):
    assert [group.size for group in model.network.filter_groups] == [6, 7, 9]
    assert [missing.layer for missing in model.network.left_whole] == ["o"]
    assert model.network.not_compensated == ()


def test_the_network_answers_as_onnx_runtime(path, model):
    expected = runtime_logits(path, normalised(), order=AS_THEY_ARE)
    logits = np.asarray(model.network(normalised()), np.float64)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_file_comes_back_smaller(path, model, tmp_path, seed):
    keeps = random_keeps(model.network.filter_groups, np.random.default_rng(seed), 0.6)
    smaller = Model(prune(model.network, keeps), NORMALISATION, model.classes)
    parity.write_checked(
        tmp_path / "out", smaller, ONNX(), IMAGES, lambda images: np.asarray(model.network(normalised(), keeps))
    )
    before, after = onnx.load(path), onnx.load(tmp_path / "out/model.onnx")
    # Of the shape that is computed, the extent that depends on the number of channels is replaced.
    found = [(node.op_type, node.output) for node in after.graph.node]
    assert ("Where", ["k.shape"]) in found
    found.remove(("Where", ["k.shape"]))
    assert found == [(node.op_type, node.output) for node in before.graph.node]
    assert (after.graph.input, after.graph.output) == (before.graph.input, before.graph.output)
    widths = {array.name: tuple(array.dims) for array in after.graph.initializer}
    kept = [int(keep.sum()) for keep in keeps.values()]
    assert widths["bn/factor"] == (1, kept[0], 1, 1)
    assert widths["dense/kernel"] == (4 * kept[1], kept[2])
