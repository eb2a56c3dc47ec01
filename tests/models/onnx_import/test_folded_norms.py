"""Batch norms that an exporter folded into convolutions are recalibrated as stored ones are."""

import jax
import numpy as np
import pytest

helper = pytest.importorskip("onnx.helper")
pytest.importorskip("onnxruntime")

import onnx  # noqa: E402

from models.compensation.recalibration import Calibration, recalibrated  # noqa: E402
from models.cost import network_cost  # noqa: E402
from models.export.onnx import ONNX  # noqa: E402
from models.model_directory import Model, load, save  # noqa: E402
from models.normalisation import Normalisation  # noqa: E402
from models.onnx_import.importing import import_onnx  # noqa: E402
from models.pruning import prune  # noqa: E402
from tests.models.support.onnx_graphs import CLASSES, runtime_logits, written  # noqa: E402

NORMALISATION = Normalisation((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
INPUTS = np.asarray(NORMALISATION(IMAGES.astype(np.float32)), np.float32)
ARRAYS = {
    "a.weight": RNG.standard_normal((6, 3, 3, 3)).astype(np.float32),
    "b.weight": RNG.standard_normal((6, 1, 3, 3)).astype(np.float32),
    "c.weight": RNG.standard_normal((8, 6, 1, 1)).astype(np.float32),
    "fc.weight": RNG.standard_normal((CLASSES, 8)).astype(np.float32),
    "fc.bias": RNG.standard_normal(CLASSES).astype(np.float32),
}
"""A convolution, a depthwise one and one of a single tap, each with a batch norm, and a classifier."""


def _norms():
    """With the moments of their inputs, as training leaves them. With a scale of 1 or -1 a folded norm knows as
    much as a stored one: from how little variance on a channel counts as dead."""
    found, value = {}, INPUTS.transpose(0, 3, 1, 2)
    for name in "abc":
        kernel, groups = ARRAYS[f"{name}.weight"], 6 if name == "b" else 1
        value = np.asarray(
            jax.lax.conv(value, kernel, (1, 1), "SAME") if groups == 1 else depthwise(value, kernel)
        )
        scale = RNG.choice([-1, 1], len(kernel)).astype(np.float32)
        moments = {"mean": value.mean((0, 2, 3)), "var": value.var((0, 2, 3))}
        found[name] = {"weight": scale, "bias": RNG.standard_normal(len(kernel)).astype(np.float32), **moments}
        shape = (1, -1, 1, 1)
        factor = scale / np.sqrt(moments["var"] + 1e-5)
        value = (value - moments["mean"].reshape(shape)) * factor.reshape(shape) + found[name]["bias"].reshape(
            shape
        )
        value = np.maximum(value, 0)
    return found


def depthwise(value, kernel):
    return jax.lax.conv_general_dilated(value, kernel, (1, 1), "SAME", feature_group_count=len(kernel))


NORMS = _norms()


def file_of(path, *, folded):
    arrays, nodes, value = dict(ARRAYS), [], "images"
    for name, norm in NORMS.items():
        options = {"group": 6} if name == "b" else {}
        padding = [0 if name == "c" else 1] * 4
        if folded:
            factor = norm["weight"] / np.sqrt(norm["var"] + 1e-5)
            arrays[f"{name}.weight"] = ARRAYS[f"{name}.weight"] * factor[:, None, None, None]
            arrays[f"{name}.bias"] = norm["bias"] - norm["mean"] * factor
        names = [value, f"{name}.weight", *([f"{name}.bias"] if folded else [])]
        result = f"{name}.normed" if folded else f"{name}.raw"
        nodes.append(helper.make_node("Conv", names, [result], pads=padding, **options))
        if not folded:
            arrays |= {f"{name}.bn.{part}": array for part, array in norm.items()}
            names = [result, *(f"{name}.bn.{part}" for part in norm)]
            nodes.append(helper.make_node("BatchNormalization", names, [f"{name}.normed"]))
        nodes.append(helper.make_node("Relu", [f"{name}.normed"], [name]))
        value = name
    nodes += [
        helper.make_node("GlobalAveragePool", [value], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], transB=1),
    ]
    return written(path, nodes, arrays)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same network from two files: with its batch norms, and with folded ones; and the second file."""
    folder = tmp_path_factory.mktemp("folded")
    stored = import_onnx(file_of(folder / "stored.onnx", folded=False), NORMALISATION).model
    path = file_of(folder / "folded.onnx", folded=True)
    return stored, import_onnx(path, NORMALISATION), path


def keeps_of(network, seed):
    rng = np.random.default_rng(seed)
    keeps = {group.name: rng.random(group.size) < 0.6 for group in network.filter_groups}
    for keep in keeps.values():
        keep[0] = True
    return keeps


def norms_of(network):
    return [norm for stage in network.stages for norm in stage.norms()]


def test_a_norm_behind_each_convolution_changes_nothing(pair):
    _, found, path = pair
    network = found.model.network
    assert len(norms_of(network)) == 3
    reference = runtime_logits(path, INPUTS)
    np.testing.assert_allclose(network(INPUTS), reference, atol=2e-6 * np.abs(reference).max())
    parameters = sum(array.size for name, array in ARRAYS.items()) + sum(
        len(norm["bias"]) for norm in NORMS.values()
    )
    assert network_cost(network)[0] == parameters
    assert any(
        sentence.startswith("3 convolutions with a bias may hold batch norms") for sentence in found.assumed
    )


@pytest.mark.parametrize("seed", range(3))
def test_folded_norms_are_recalibrated_as_stored_ones(pair, seed):
    logits = []
    for model in (pair[0], pair[1].model):
        keeps = keeps_of(model.network, seed)
        calibration = Calibration.of(model.network, IMAGES[:25], NORMALISATION)
        measured = recalibrated(model.network, keeps, calibration)
        logits.append((np.asarray(measured(INPUTS, keeps)), np.asarray(model.network(INPUTS, keeps))))
    (stored, before), (folded, _) = logits
    scale = np.abs(stored).max()
    np.testing.assert_allclose(folded, stored, atol=2e-5 * scale)
    assert np.abs(stored - before).max() > 0.01 * scale


def test_an_export_folds_the_norms_in_again(pair, tmp_path):
    model = pair[1].model
    keeps = keeps_of(model.network, 5)
    calibration = Calibration.of(model.network, IMAGES[:25], NORMALISATION)
    measured = recalibrated(model.network, keeps, calibration)
    masked = np.asarray(measured(INPUTS, keeps))
    save(tmp_path / "pruned", Model(prune(measured, keeps), NORMALISATION, model.classes))
    pruned = load(tmp_path / "pruned")
    path = tmp_path / "pruned.onnx"
    path.write_bytes(ONNX().files(pruned)["model.onnx"])
    assert {node.op_type for node in onnx.load(path).graph.node} == {
        "Conv",
        "Relu",
        "GlobalAveragePool",
        "Flatten",
        "Gemm",
    }
    found = runtime_logits(path, INPUTS)
    np.testing.assert_allclose(found, masked, atol=5e-6 * np.abs(masked).max())


def test_without_a_mask_the_same_file_comes_back(pair):
    model, path = pair[1].model, pair[2]
    written_again = onnx.load_from_string(ONNX().files(model)["model.onnx"])
    assert written_again == onnx.load(path)


def test_only_convolutions_that_may_hold_a_norm_get_one(tmp_path):
    """Not in squeeze-and-excitation, not in front of a norm, not where a kernel or a bias has two readers."""
    taps = {"kernel_shape": [1, 1]}
    nodes = [
        helper.make_node("Conv", ["images", "plain.weight", "plain.bias"], ["plain"], **taps),
        helper.make_node("Conv", ["plain", "unbiased.weight"], ["unbiased"], **taps),
        helper.make_node("Conv", ["unbiased", "twice.weight", "one.bias"], ["one"], **taps),
        helper.make_node("Conv", ["one", "twice.weight", "other.bias"], ["other"], **taps),
        helper.make_node("Conv", ["other", "normed.weight", "normed.bias"], ["raw"], **taps),
        helper.make_node("BatchNormalization", ["raw", "s", "o", "m", "v"], ["normed"]),
        helper.make_node("GlobalAveragePool", ["normed"], ["pooled"]),
        helper.make_node("Conv", ["pooled", "squeezed.weight", "squeezed.bias"], ["squeezed"], **taps),
        helper.make_node("Flatten", ["squeezed"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], transB=1),
    ]
    names = ["plain", "unbiased", "twice", "normed", "squeezed"]
    arrays = {f"{name}.weight": RNG.standard_normal((3, 3, 1, 1)).astype(np.float32) for name in names}
    biases = ["plain.bias", "one.bias", "other.bias", "normed.bias", "squeezed.bias", "s", "o", "m", "v"]
    arrays |= {name: RNG.uniform(0.5, 1, 3).astype(np.float32) for name in biases}
    arrays |= {"fc.weight": RNG.standard_normal((CLASSES, 3)).astype(np.float32), "fc.bias": ARRAYS["fc.bias"]}
    network = import_onnx(written(tmp_path / "mixed.onnx", nodes, arrays), NORMALISATION).model.network
    means = [norm.mean for norm in norms_of(network)]
    assert means[0].endswith("plain.mean")
    assert len(means) == 2


@pytest.mark.parametrize("taken", ["conv.raw", "conv.mean"])
def test_a_norm_takes_no_name_that_the_file_has(tmp_path, taken):
    nodes = [
        helper.make_node("Conv", ["images", "w", "b"], ["conv"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["conv"], [taken]),
        helper.make_node("GlobalAveragePool", [taken], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], transB=1),
    ]
    arrays = {"w": ARRAYS["a.weight"][:, :, :1, :1], "b": NORMS["a"]["bias"], "fc.bias": ARRAYS["fc.bias"]}
    path = written(tmp_path / "taken.onnx", nodes, arrays | {"fc.weight": ARRAYS["fc.weight"][:, :6]})
    network = import_onnx(path, NORMALISATION).model.network
    assert norms_of(network) == []
    np.testing.assert_allclose(network(INPUTS), runtime_logits(path, INPUTS), rtol=1e-4, atol=1e-5)
