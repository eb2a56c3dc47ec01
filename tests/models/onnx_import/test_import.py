"""Networks from ONNX files: what is read, how it is named, and the same file back."""

import numpy as np
import pytest

helper = pytest.importorskip("onnx.helper")
pytest.importorskip("onnxruntime")

import onnx  # noqa: E402

from models.arrays import arrays_of  # noqa: E402
from models.errors import ExportError, StoreError  # noqa: E402
from models.export import parity  # noqa: E402
from models.export.onnx import ONNX  # noqa: E402
from models.model_directory import Model, load, save  # noqa: E402
from models.normalisation import Normalisation  # noqa: E402
from models.onnx_import.importing import import_onnx  # noqa: E402
from models.pruning import prune  # noqa: E402
from models.widening import rounded  # noqa: E402
from tests.models.support.onnx_graphs import CLASSES, runtime_logits, written  # noqa: E402

NORMALISATION = Normalisation((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def normalised(images):
    return np.asarray(NORMALISATION(images.astype(np.float32)), np.float32)


def network_file(path, *, ending=(), flat="Flatten", **more):
    """A convolution, squeeze-and-excitation, a depthwise convolution, a shortcut, and a classifier."""
    target = {"target": np.array([-1, 6 * 16])} if flat == "Reshape" else {}
    nodes = [
        helper.make_node(
            "Conv", ["images", "stem.weight", "stem.bias"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]
        ),
        helper.make_node(
            "BatchNormalization", ["a", "bn.weight", "bn.bias", "bn.mean", "bn.var"], ["b"], name="bn"
        ),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "squeeze.weight", "squeeze.bias"], ["e"]),
        helper.make_node("Relu", ["e"], ["f"]),
        helper.make_node("Conv", ["f", "excite.weight", "excite.bias"], ["g"]),
        helper.make_node("HardSigmoid", ["g"], ["h"]),
        helper.make_node("Mul", ["c", "h"], ["i"]),
        helper.make_node("Conv", ["i", "depthwise.weight"], ["j"], group=6, pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "j"], ["k"]),
        helper.make_node(flat, ["k", *target], ["l"]),
        helper.make_node("Gemm", ["l", "fc.weight", "fc.bias"], ["logits" if not ending else "m"], transB=1),
    ]
    for place, operation in enumerate(ending):
        last = place == len(ending) - 1
        nodes.append(
            helper.make_node(
                operation, ["m" if place == 0 else f"m{place}"], ["logits" if last else f"m{place + 1}"]
            )
        )
    arrays = {
        "stem.weight": floats(6, 3, 3, 3),
        "stem.bias": floats(6),
        "bn.weight": floats(6),
        "bn.bias": floats(6),
        "bn.mean": floats(6),
        "bn.var": floats(6) ** 2 + 0.5,
        "squeeze.weight": floats(2, 6, 1, 1),
        "squeeze.bias": floats(2),
        "excite.weight": floats(6, 2, 1, 1),
        "excite.bias": floats(6),
        "depthwise.weight": floats(6, 1, 3, 3),
        "fc.weight": floats(CLASSES, 6 * 16),
        "fc.bias": floats(CLASSES),
    }
    return written(path, nodes, arrays | target, **more)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return network_file(tmp_path_factory.mktemp("onnx") / "network.onnx")


@pytest.fixture(scope="module")
def model(path):
    return import_onnx(path, NORMALISATION).model


def random_keeps(network, seed):
    rng = np.random.default_rng(seed)
    keeps = {}
    for group in network.filter_groups:
        keep = rng.random(group.size) < 0.6
        keep[rng.integers(group.size)] = True
        keeps[group.name] = keep
    return keeps


def test_the_network_answers_as_onnx_runtime(path, model):
    inputs = normalised(IMAGES)
    np.testing.assert_allclose(model.network(inputs), runtime_logits(path, inputs), rtol=1e-4, atol=1e-4)


def test_channels_that_meet_are_one_group(model):
    assert {group.name: group.size for group in model.network.filter_groups} == {"stem": 6, "squeeze": 2}


def test_a_model_directory_brings_it_back(model, tmp_path):
    save(tmp_path / "model", model)
    again = load(tmp_path / "model")
    assert again.network.architecture == model.network.architecture
    for name, array in arrays_of(model.network).items():
        np.testing.assert_array_equal(arrays_of(again.network)[name], array)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("flat", ["Flatten", "Reshape"])
def test_the_same_file_comes_back_smaller(tmp_path, seed, flat):
    path = network_file(tmp_path / "network.onnx", flat=flat, ending=["Softmax"], producer_name="somebody")
    model = import_onnx(path, NORMALISATION).model
    keeps = random_keeps(model.network, seed)
    smaller = Model(prune(model.network, keeps), NORMALISATION, model.classes)

    def masked(images):
        return np.asarray(model.network(normalised(images), keeps))

    parity.write_checked(tmp_path / "out", smaller, ONNX(), IMAGES, masked)
    before, after = onnx.load(path), onnx.load(tmp_path / "out" / "model.onnx")
    assert [(node.op_type, node.output) for node in after.graph.node] == [
        (node.op_type, node.output) for node in before.graph.node
    ]
    assert (after.producer_name, after.graph.input, after.graph.output) == (
        "somebody",
        before.graph.input,
        before.graph.output,
    )
    probabilities = runtime_logits(tmp_path / "out" / "model.onnx", normalised(IMAGES), "logits")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_file_of_which_nothing_is_removed_is_the_same_file(path, model):
    assert onnx.load_from_string(ONNX().files(model)["model.onnx"]) == onnx.load(path)


@pytest.mark.parametrize("ending", [["Softmax"], ["LogSoftmax"], ["Identity", "Softmax"]])
def test_logits_are_what_a_last_softmax_reads(tmp_path, ending):
    path = network_file(tmp_path / "network.onnx", ending=ending)
    model = import_onnx(path, NORMALISATION).model
    probabilities = runtime_logits(path, normalised(IMAGES))
    logits = np.asarray(model.network(normalised(IMAGES)))
    np.testing.assert_array_equal(logits.argmax(axis=1), probabilities.argmax(axis=1))
    assert logits.max() > 1


def test_a_fixed_number_of_images_is_fed_in_batches(tmp_path):
    path = network_file(tmp_path / "network.onnx", shape=(3, 3, 8, 8), outputs=[("logits", (3, CLASSES))])
    model = import_onnx(path, NORMALISATION).model
    parity.write_checked(
        tmp_path / "out", model, ONNX(), IMAGES, lambda images: np.asarray(model.network(normalised(images)))
    )


def test_a_file_that_leaves_the_size_open_needs_it(tmp_path):
    path = network_file(tmp_path / "network.onnx", shape=("batch", 3, "height", "width"))
    with pytest.raises(StoreError, match="leaves the size of its images open; give `input_size`"):
        import_onnx(path, NORMALISATION)
    model = import_onnx(path, NORMALISATION, input_size=(8, 8)).model
    assert model.network.architecture.input_shape == (8, 8, 3)


def conv(inputs, output):
    return helper.make_node("Conv", inputs, [output], pads=[1, 1, 1, 1])


def assert_written_smaller(path, tmp_path, *, output=None, widths=None):
    """Half of the channels leave, and ONNX Runtime answers as the masked network does."""
    model = import_onnx(path, NORMALISATION, output=output).model
    keeps = random_keeps(model.network, 1)
    assert not all(keep.all() for keep in keeps.values())
    smaller = Model(prune(model.network, keeps), NORMALISATION, model.classes)
    if widths is not None:
        smaller = Model(rounded(smaller.network, model.network, widths), NORMALISATION, model.classes)
    parity.write_checked(
        tmp_path / "out",
        smaller,
        ONNX(),
        IMAGES,
        lambda images: np.asarray(model.network(normalised(images), keeps)),
    )
    return onnx.load(tmp_path / "out" / "model.onnx")


@pytest.mark.parametrize("extents", [[1, 6, 8, 2], [6, 1, 2], "computed"])
def test_channels_in_front_of_an_expansion_leave(tmp_path, extents):
    """As a token is repeated for each image of a batch: the extents of the whole network are in the file."""
    arrays = {"a.weight": floats(6, 3, 3, 3), "fc.weight": floats(CLASSES, 6)}
    nodes = [
        conv(["images", "a.weight"], "a"),
        helper.make_node("ReduceMean", ["a"], ["b"], axes=[3], keepdims=1),
    ]
    if extents == "computed":
        nodes += [
            helper.make_node("Shape", ["images"], ["size"]),
            helper.make_node("Gather", ["size", "first"], ["count"]),
            helper.make_node("Concat", ["count", "rest"], ["extents"], axis=0),
        ]
        arrays |= {"first": np.array([0]), "rest": np.array([6, 8, 2])}
    else:
        arrays["extents"] = np.array(extents)
    nodes += [
        helper.make_node("Expand", ["b", "extents"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("Gemm", ["f", "fc.weight"], ["logits"], transB=1),
    ]
    assert_written_smaller(written(tmp_path / "network.onnx", nodes, arrays, opset=13), tmp_path)


@pytest.mark.parametrize("output", ["logits", "other"])
def test_results_beside_the_logits_are_left_out_and_that_is_said(tmp_path, output):
    """A second head and the features would both be others in a smaller network."""
    arrays = {
        "a.weight": floats(6, 3, 3, 3),
        "fc.weight": floats(CLASSES, 6),
        "other.weight": floats(CLASSES, 6),
    }
    nodes = [
        conv(["images", "a.weight"], "a"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["features"]),
        helper.make_node("Gemm", ["features", "fc.weight"], ["logits"], transB=1),
        helper.make_node("Gemm", ["features", "other.weight"], ["other"], transB=1),
        helper.make_node("Softmax", [output], ["shares"], axis=1),
    ]
    results = {"logits": CLASSES, "other": CLASSES, "features": 6, "shares": CLASSES}
    path = written(
        tmp_path / "network.onnx",
        nodes,
        arrays,
        outputs=[(name, ("batch", size)) for name, size in results.items()],
    )
    left_out = "other" if output == "logits" else "logits"
    said = " ".join(map(str, import_onnx(path, NORMALISATION, output=output).assumed))
    assert (
        f"leaves out the results {', '.join(name for name in results if name in (left_out, 'features'))}, "
        in said
    )
    smaller = assert_written_smaller(path, tmp_path, output=output)
    assert {entry.name for entry in smaller.graph.output} == {output, "shares"}


@pytest.mark.parametrize("operation", ["Reciprocal", "Log", "Div"])
def test_widening_makes_no_number_that_is_not_finite(tmp_path, operation):
    arrays = {
        "a.weight": np.abs(floats(6, 3, 3, 3)),
        "b.weight": floats(7, 6, 3, 3),
        "fc.weight": floats(CLASSES, 7),
        "one": np.float32(1),
    }
    nodes = [
        helper.make_node("Mul", ["images", "images"], ["square"]),
        helper.make_node("Add", ["square", "one"], ["positive"]),
        conv(["positive", "a.weight"], "a"),
        helper.make_node(operation, ["one", "a"] if operation == "Div" else ["a"], ["b"]),
        conv(["b", "b.weight"], "c"),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "fc.weight"], ["logits"], transB=1),
    ]
    assert_written_smaller(written(tmp_path / "network.onnx", nodes, arrays), tmp_path, widths=4)


def test_a_file_that_cannot_be_written_smaller_is_one_sentence(tmp_path):
    """A runtime that refuses the file stands for numbers of channels that nothing follows."""
    path = network_file(tmp_path / "network.onnx")
    model = import_onnx(path, NORMALISATION).model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onnxruntime.InferenceSession", lambda *_, **__: 1 / 0)
        with pytest.raises(ExportError, match=r"cannot write this network smaller.*division by zero.*native"):
            parity.write_checked(tmp_path / "out", model, ONNX(), IMAGES, lambda images: np.zeros((4, CLASSES)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["one array", "names for one array", "one kernel"])
def test_layers_whose_equal_arrays_are_stored_once_lose_channels_of_their_own(tmp_path, kind):
    arrays = {
        "a.weight": floats(6, 3, 3, 3),
        "b.weight": floats(6, 6, 3, 3),
        "zeros": np.zeros(6, np.float32),
        "ones": np.ones(6, np.float32),
        "fc.weight": floats(CLASSES, 6),
    }
    other, named = (
        ("b.bias", [helper.make_node("Identity", ["zeros"], ["b.bias"])]) if "names" in kind else ("zeros", [])
    )
    nodes = [
        *named,
        conv(["images", "a.weight", "zeros"], "a"),
        helper.make_node("InstanceNormalization", ["a", "ones", "zeros"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        conv(["c", "b.weight", other], "d"),
        helper.make_node("InstanceNormalization", ["d", "ones", "zeros"], ["e"]),
        helper.make_node("Relu", ["e"], ["f"]),
    ]
    if kind == "one kernel":
        nodes += [conv(["f", "b.weight", "zeros"], "f2"), helper.make_node("Relu", ["f2"], ["f3"])]
    nodes += [
        helper.make_node("GlobalAveragePool", ["f3" if kind == "one kernel" else "f"], ["g"]),
        helper.make_node("Flatten", ["g"], ["h"]),
        helper.make_node("Gemm", ["h", "fc.weight"], ["logits"], transB=1),
    ]
    path = written(tmp_path / "network.onnx", nodes, arrays)
    model = import_onnx(path, NORMALISATION).model
    inputs = normalised(IMAGES)
    np.testing.assert_allclose(model.network(inputs), runtime_logits(path, inputs), rtol=1e-4, atol=1e-4)
    groups = {group.name: group.size for group in model.network.filter_groups}
    # A layer that reads its own results has the channels of the layer before it.
    assert groups == ({"a": 6} if kind == "one kernel" else {"a": 6, "b": 6})
    assert_written_smaller(path, tmp_path)


@pytest.mark.parametrize("computed", [False, True])
def test_an_axis_of_images_and_channels_fits_any_number_of_images(tmp_path, computed):
    arrays = {"a.weight": floats(6, 3, 3, 3), "fc.weight": floats(CLASSES, 6), "back": np.array([-1, 6])}
    nodes = [conv(["images", "a.weight"], "a"), helper.make_node("Relu", ["a"], ["b"])]
    if computed:
        nodes += [
            helper.make_node("Shape", ["b"], ["size"]),
            helper.make_node("Gather", ["size", "both"], ["two"]),
            helper.make_node("ReduceProd", ["two"], ["merged"], keepdims=1),
            helper.make_node("Concat", ["merged", "rest"], ["extents"], axis=0),
        ]
        arrays |= {"both": np.array([0, 1]), "rest": np.array([1, 8, 8])}
    else:
        arrays["extents"] = np.array([-1, 1, 8, 8])
    nodes += [
        helper.make_node("Reshape", ["b", "extents"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Reshape", ["d", "back"], ["e"]),
        helper.make_node("Gemm", ["e", "fc.weight"], ["logits"], transB=1),
    ]
    path = written(tmp_path / "network.onnx", nodes, arrays, opset=13)
    assert {group.name for group in import_onnx(path, NORMALISATION).model.network.filter_groups} == {"a"}
    assert_written_smaller(path, tmp_path)
