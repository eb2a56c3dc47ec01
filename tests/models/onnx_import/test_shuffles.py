"""Channel shuffles in ONNX files: left out when a file is read, so that the filters in front of them can go."""

import jax.numpy as jnp
import numpy as np
import pytest

helper = pytest.importorskip("onnx.helper")
pytest.importorskip("onnxruntime")

import onnx  # noqa: E402

from models.compensation.folding import compensated  # noqa: E402
from models.compensation.method import Compensation  # noqa: E402
from models.compensation.moments import gather_moments  # noqa: E402
from models.export.onnx import ONNX  # noqa: E402
from models.model_directory import Model, load, save  # noqa: E402
from models.normalisation import Normalisation  # noqa: E402
from models.onnx_import.importing import import_onnx  # noqa: E402
from models.pruning import prune  # noqa: E402
from tests.models.support.onnx_graphs import CLASSES, runtime_logits, written  # noqa: E402
from tests.models.support.small_networks import logits, random_keeps  # noqa: E402

NORMALISATION = Normalisation((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
IMAGES = np.random.default_rng(0).standard_normal((3, 8, 8, 3)).astype(np.float32)


class Drawing:
    """A graph node by node; ``channels`` is 1 or 3, the axis of the channels outside of convolutions."""

    def __init__(self, channels=1):
        self.nodes, self.arrays, self.channels = [], {}, channels
        self.rng = np.random.default_rng(0)

    def node(self, operation, *inputs, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}.{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operation, inputs, names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def array(self, name, *shape):
        self.arrays[name] = (0.5 * self.rng.standard_normal(shape)).astype(np.float32)
        return name

    def numbers(self, *values):
        name = f"numbers{len(self.arrays)}"
        self.arrays[name] = np.array(values, np.int64)
        return name

    def conv(self, x, inputs, filters, name, groups=1):
        x = self.node("Transpose", x, perm=[0, 3, 1, 2]) if self.channels == 3 else x
        weights = (
            self.array(f"{name}.weight", filters, inputs // groups, 3, 3),
            self.array(f"{name}.bias", filters),
        )
        x = self.node("Conv", x, *weights, group=groups, pads=[1, 1, 1, 1])
        return self.node("Transpose", x, perm=[0, 2, 3, 1]) if self.channels == 3 else x

    def shuffle(self, x, channels, parts, computed=False):
        target = [parts, channels // parts]
        shape = [-1, *target, 8, 8] if self.channels == 1 else [-1, 8, 8, *target]
        flat = [-1, channels, 8, 8] if self.channels == 1 else [-1, 8, 8, channels]
        end = self.node("Shape", x) if computed else self.numbers(*flat)
        x = self.node("Reshape", x, self.numbers(*shape))
        x = self.node("Transpose", x, perm=[0, 2, 1, 3, 4] if self.channels == 1 else [0, 1, 2, 4, 3])
        return self.node("Reshape", x, end)

    def unit(self, x, channels, parts, name, **more):
        """A unit of a ShuffleNet V2."""
        half = channels // 2
        kept, x = self.node("Split", x, self.numbers(half, half), outputs=2, axis=self.channels)
        x = self.node("Relu", self.conv(x, half, half, f"{name}.expand"))
        x = self.conv(x, half, half, f"{name}.depthwise", half)
        x = self.node("Relu", self.conv(x, half, half, f"{name}.reduce"))
        return self.shuffle(self.node("Concat", kept, x, axis=self.channels), channels, parts, **more)

    def file(self, path, x, channels, **more):
        axes = [2, 3] if self.channels == 1 else [1, 2]
        x = self.node("ReduceMean", x, axes=axes, keepdims=0)
        weights = self.array("head.weight", CLASSES, channels), self.array("head.bias", CLASSES)
        self.nodes.append(helper.make_node("Gemm", [x, *weights], ["logits"], transB=1))
        shape = ("batch", 3, 8, 8) if self.channels == 1 else ("batch", 8, 8, 3)
        return written(path, self.nodes, self.arrays, shape=shape, **more)


def shuffle_net(path, *, axis=1, computed=False):
    drawing = Drawing(axis)
    x = drawing.node("Relu", drawing.conv("images", 3, 12, "stem"))
    x = drawing.unit(x, 12, 2, "one", computed=computed)
    if axis == 1:
        norms = [drawing.array(f"norm.{name}", 12) for name in ("weight", "bias", "mean", "var")]
        drawing.arrays["norm.var"] = np.square(drawing.arrays["norm.var"]) + np.float32(0.5)
        x = drawing.node("BatchNormalization", x, *norms)
    x = drawing.unit(x, 12, 3, "two", computed=computed)
    x = drawing.node("Mul", x, drawing.array("slope", *((12, 1, 1) if axis == 1 else (12,))))
    return drawing.file(path, x, 12)


CASES = {"channels first": {}, "channels last": {"axis": 3}, "shapes computed": {"computed": True}}


@pytest.fixture(params=CASES)
def read(request, tmp_path):
    case = CASES[request.param]
    path = shuffle_net(tmp_path / "network.onnx", **case)
    return path, import_onnx(path, NORMALISATION).model, (0, 1, 2, 3) if "axis" in case else (0, 3, 1, 2)


def runtime(model, path, **more):
    path.write_bytes(ONNX().files(model)["model.onnx"])
    return runtime_logits(path, IMAGES, **more)


def test_the_network_without_shuffles_computes_the_same(read, tmp_path):
    path, model, order = read
    expected = runtime_logits(path, IMAGES, order=order)
    np.testing.assert_allclose(logits(model.network, IMAGES), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        runtime(model, tmp_path / "whole.onnx", order=order), expected, rtol=1e-4, atol=1e-4
    )


def test_masked_is_pruned_is_the_file_that_comes_back(read, tmp_path):
    _, model, order = read
    network = model.network
    layers = {"stem", "one.expand", "one.reduce", "two.expand", "two.reduce"}
    assert {group.name.partition("#")[0] for group in network.filter_groups} == layers
    # A filter that is alone in its group stays.
    assert sum(group.size for group in network.filter_groups) >= 12 + 4 * 6 - 6
    rng = np.random.default_rng(1)
    for _ in range(20):
        keeps = random_keeps(network.filter_groups, rng, rng.uniform(0.3, 0.9))
        masked = logits(network, IMAGES, keeps)
        smaller = Model(prune(network, keeps), NORMALISATION, model.classes)
        found = runtime(smaller, tmp_path / "pruned.onnx", order=order)
        np.testing.assert_allclose(found, masked, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits(smaller.network, IMAGES), masked, rtol=1e-4, atol=1e-4)
    save(tmp_path / "model", smaller)
    np.testing.assert_allclose(logits(load(tmp_path / "model").network, IMAGES), masked, rtol=1e-4, atol=1e-4)


def test_what_reads_shuffled_channels_is_compensated(tmp_path):
    network = import_onnx(shuffle_net(tmp_path / "network.onnx"), NORMALISATION).model.network
    assert network.not_compensated == ()
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    moments = gather_moments(network, NORMALISATION, images, [group.name for group in network.filter_groups])
    keeps = random_keeps(network.filter_groups, np.random.default_rng(3), 0.7)
    changed = compensated(network, keeps, Compensation("linear", moments))
    inputs = NORMALISATION(jnp.asarray(images))
    whole = logits(network, inputs)
    before, after = (np.square(logits(each, inputs, keeps) - whole).mean() for each in (network, changed))
    assert after < 0.8 * before
    pruned = logits(prune(changed, keeps), inputs)
    np.testing.assert_allclose(pruned, logits(changed, inputs, keeps), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("reader", ["Softmax", "grouped"])
def test_a_shuffle_whose_order_something_needs_stays(reader, tmp_path):
    drawing = Drawing()
    x = drawing.shuffle(drawing.conv("images", 3, 8, "stem"), 8, 2)
    x = drawing.node("Softmax", x, axis=1) if reader == "Softmax" else drawing.conv(x, 8, 8, "grouped", 2)
    path = drawing.file(tmp_path / "network.onnx", x, 8, outputs=[("logits", ("batch", CLASSES))])
    model = import_onnx(path, NORMALISATION, output="logits").model
    assert "stem" in {left.layer for left in model.network.left_whole}
    expected = runtime_logits(path, IMAGES, "logits")
    np.testing.assert_allclose(logits(model.network, IMAGES), expected, rtol=1e-4, atol=1e-4)
    assert onnx.load_from_string(ONNX().files(model)["model.onnx"]) == onnx.load(path)


def test_parts_of_channels_lose_filters_on_their_own(tmp_path):
    drawing = Drawing()
    x = drawing.node("Relu", drawing.conv("images", 3, 12, "stem"))
    one, other = drawing.node("Split", x, drawing.numbers(5, 7), outputs=2, axis=1)
    bounds = [drawing.numbers(*numbers) for numbers in ((2, 1), (6, 5), (1, 3))]
    corner = drawing.node("Slice", other, *bounds)
    taken = drawing.node("Gather", one, drawing.numbers(3, 4, 0, 1), axis=1)
    bounds = [drawing.numbers(number) for number in (0, 4, 3)]
    x = drawing.node("Concat", corner, drawing.node("Slice", taken, *bounds), axis=1)
    model = import_onnx(drawing.file(tmp_path / "network.onnx", x, 8), NORMALISATION).model
    sizes = {group.name: group.size for group in model.network.filter_groups}
    assert sizes == {"stem": 2, "stem#2": 2, "stem#3": 2, "stem#4": 4}
    for seed in range(5):
        keeps = random_keeps(model.network.filter_groups, np.random.default_rng(seed), 0.6)
        smaller = Model(prune(model.network, keeps), NORMALISATION, model.classes)
        masked = logits(model.network, IMAGES, keeps)
        np.testing.assert_allclose(runtime(smaller, tmp_path / "cut.onnx"), masked, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [False, True])
def test_places_that_are_gathered_keep_their_channels_apart(channels, tmp_path):
    """As PyTorch's newer exporter writes an adaptive pool: maps in front, then windows of places, then their sums."""
    drawing = Drawing()
    x = drawing.node("Relu", drawing.conv("images", 3, 6, "stem"))
    if channels:
        x = drawing.node("GatherND", x, drawing.numbers([[0, 4], [0, 1], [0, 5]]))
    else:
        windows = [[[[row, column] for column in (0, 5)] for row in (2, 3, 3)] for _ in range(2)]
        x = drawing.node("GatherND", drawing.node("Transpose", x, perm=[2, 3, 0, 1]), drawing.numbers(*windows))
        x = drawing.node("Transpose", x, perm=[3, 4, 0, 1, 2])
        parts = [drawing.node("Gather", x, drawing.numbers(number), axis=2) for number in range(2)]
        x = drawing.node("Add", *(drawing.node("Squeeze", part, drawing.numbers(2)) for part in parts))
    model = import_onnx(drawing.file(tmp_path / "network.onnx", x, 3 if channels else 6), NORMALISATION).model
    expected = runtime_logits(tmp_path / "network.onnx", IMAGES)
    np.testing.assert_allclose(logits(model.network, IMAGES), expected, rtol=1e-4, atol=1e-4)
    sizes = {group.name: group.size for group in model.network.filter_groups}
    assert sizes == ({} if channels else {"stem": 6})
    if channels:
        assert "left whole: stem, because of 'gather'" in map(str, model.network.left_whole)
        return
    keeps = {"stem": np.array([0, 1, 1, 0, 0, 1], bool)}
    smaller = Model(prune(model.network, keeps), NORMALISATION, model.classes)
    masked = logits(model.network, IMAGES, keeps)
    np.testing.assert_allclose(runtime(smaller, tmp_path / "cut.onnx"), masked, rtol=1e-4, atol=1e-4)
