import numpy as np
import pytest

from engine.layout import Layout
from fitness.genome import Genome
from fitness.importance import Subject
from fitness.importance.contract import ImportanceError
from fitness.importance.slimming import slimming
from models.arrays import arrays_of
from models.model_directory import Model
from models.normalisation import Normalisation
from models.onnx_import.importing import import_onnx
from tests.fitness.importance.subjects import change_arrays, subject_of
from tests.models.support import own_networks
from tests.models.support.imported_pairs import KINDS, NORMALISATION
from tests.models.support.small_networks import filled

NORMED = ["conv1_1", "conv2_1", "conv2_2"]


def subject_for(network, names=None):
    """No importance of this kind looks at images."""
    layout = Genome.of(network, "all").layout
    if names is not None:
        sizes = dict(zip(layout.names, layout.sizes, strict=True))
        layout = Layout(tuple(names), tuple(sizes[name] for name in names))
    model = Model(network, NORMALISATION, ("a", "b", "c"))
    return Subject(model, layout, np.zeros((0, 8, 8, 2), np.uint8), np.zeros(0, np.int32))


def test_the_absolute_scale_is_the_importance():
    def fill(arrays):
        arrays["conv1_1.norm.scale"][:] = [3, -2, 0, 1e-3, -7]
        arrays["conv2_2.norm.scale"][:] = -0.5

    found = slimming(change_arrays(subject_of("batch-norm", NORMED), fill))
    assert found[:5].tolist() == pytest.approx([3, 2, 0, 1e-3, 7])
    assert found[-1] == 0.5


def test_tied_channels_have_the_mean_of_their_scales():
    network = filled(KINDS["resnet"], 1)
    arrays = {name: np.abs(array.astype(float)) for name, array in arrays_of(network).items()}
    found = subject_for(network).layout.split(slimming(subject_for(network)))
    for group, layers in {
        "stage1": ["stage1", "unit1_1.second"],
        "stage2": ["unit2_1.second", "unit2_1.shortcut", "unit2_2.second"],
        "unit2_1": ["unit2_1.first"],
    }.items():
        expected = np.mean([arrays[f"{layer}.norm.scale"] for layer in layers], axis=0)
        np.testing.assert_allclose(found[group], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "group", "norms"),
    [
        ("ResNet", "stem", ["bn", "blocks.0.bn2"]),
        pytest.param(
            "MobileNet",
            "blocks.layers.1.expand",
            ["blocks.layers.1.bn1", "blocks.layers.1.bn2"],
            marks=pytest.mark.slow,
        ),
        # Channels 7 to 10 of the inputs of two batch norms behind concatenations.
        ("DenseNet", "block2.0.conv", ["block2.1.bn", "bn"]),
    ],
)
def test_scales_of_a_network_of_ones_own_are_found(name, group, norms):
    network = own_networks.built(name)
    arrays = {path.partition("arrays.")[2]: array for path, array in arrays_of(network).items()}
    scales = [np.abs(arrays[f"{norm}.scale"].astype(float)) for norm in norms]
    if name == "DenseNet":
        scales = [scale[7:11] for scale in scales]
    found = slimming(subject_for(network, [group]))
    np.testing.assert_allclose(found, np.mean(scales, axis=0), rtol=1e-6)
    assert len(np.unique(found)) > 1


def test_several_indices_of_a_channel_count_by_their_mean():
    """A depthwise layer makes two channels of each filter."""
    network = own_networks.built("GroupedCNN")
    [scale] = [array for path, array in arrays_of(network).items() if path.endswith("norm.scale")]
    found = slimming(subject_for(network, ["before"]))
    np.testing.assert_allclose(found, np.abs(scale.astype(float)).reshape(4, 2).mean(axis=1), rtol=1e-6)


def test_scales_of_an_imported_network_are_found(tmp_path):
    pytest.importorskip("onnx")
    from onnx import helper

    from tests.models.support.onnx_graphs import written

    rng = np.random.default_rng(0)
    scale = rng.uniform(-2, 2, 4).astype(np.float32)
    arrays = {"kernel": rng.standard_normal((4, 3, 3, 3)), "offset": rng.standard_normal(4)}
    arrays |= {
        "mean": rng.standard_normal(4),
        "variance": rng.uniform(1, 2, 4),
        "head": rng.standard_normal((4, 5)),
    }
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "scale", "offset", "mean", "variance"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("MatMul", ["e", "head"], ["logits"]),
    ]
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()} | {"scale": scale}
    network = import_onnx(
        written(tmp_path / "normed.onnx", nodes, arrays), Normalisation((0.5,) * 3, (0.25,) * 3)
    ).model.network
    np.testing.assert_allclose(slimming(subject_for(network)), np.abs(scale), rtol=1e-6)


def test_without_batch_norm_the_remedy_is_named():
    with pytest.raises(ImportanceError, match="behind layer 'conv1_1' of plain; leave slimming out, and rank by"):
        slimming(subject_of("plain"))
    with pytest.raises(
        ImportanceError, match="'fc1' of normed; leave slimming out, or give `prune` convolutions"
    ):
        slimming(subject_of("batch-norm"))
    with pytest.raises(ImportanceError, match=r"'stem' of .*GroupedCNN; leave slimming out, and rank by"):
        slimming(subject_for(own_networks.built("GroupedCNN")))
