from dataclasses import replace

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from models.arrays import arrays_of
from models.errors import StoreError
from models.export.torch import state_dict as state_dict_of
from models.model_directory import Model
from models.networks.resnet import ResNetArchitecture
from models.normalisation import Normalisation
from models.torch.facts import Facts
from models.torch.importing import import_network
from tests.models.support.numpy_networks import defined
from tests.models.support.small_networks import VARIANTS, filled, logits

NORM = ("weight", "bias", "running_mean", "running_var")
NORMALISATION = Normalisation((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def state_dict(batch_norm=False, dtype=np.float32):
    """Two blocks (5 and 6, then 7 filters), 16x16 images, a classifier of 9 and 4, in PyTorch's layout."""
    rng = np.random.default_rng(0)
    step = 3 if batch_norm else 2
    places = [0, step, 2 * step + 1]
    arrays = {}
    for place, (inputs, filters) in zip(places, [(3, 5), (5, 6), (6, 7)], strict=True):
        arrays[f"features.{place}.weight"] = rng.standard_normal((filters, inputs, 3, 3))
        arrays[f"features.{place}.bias"] = rng.standard_normal(filters)
        if batch_norm:
            for part in ("weight", "bias", "running_mean", "running_var"):
                arrays[f"features.{place + 1}.{part}"] = rng.random(filters) + 0.1
    arrays["classifier.1.weight"] = rng.standard_normal((9, 7 * 4 * 4))
    arrays["classifier.1.bias"] = rng.standard_normal(9)
    arrays["classifier.4.weight"] = rng.standard_normal((4, 9))
    arrays["classifier.4.bias"] = rng.standard_normal(4)
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    if batch_norm:
        arrays["features.1.num_batches_tracked"] = np.array(3)
    return arrays


def torch_features(arrays, images, batch_norm, epsilon=1e-5):
    """What PyTorch's features are, written out in its own layout: NCHW, OIHW, flatten channels first."""
    carry = images.transpose(0, 3, 1, 2)
    step = 3 if batch_norm else 2
    for place, pool in [(0, False), (step, True), (2 * step + 1, True)]:
        kernel = arrays[f"features.{place}.weight"]
        carry = jax.lax.conv_general_dilated(carry, kernel, (1, 1), ((1, 1), (1, 1)))
        carry = carry + arrays[f"features.{place}.bias"][:, None, None]
        if batch_norm:
            norm = {
                part: arrays[f"features.{place + 1}.{part}"][:, None, None]
                for part in ("weight", "bias", "running_mean", "running_var")
            }
            carry = (carry - norm["running_mean"]) / np.sqrt(norm["running_var"] + epsilon)
            carry = carry * norm["weight"] + norm["bias"]
        carry = np.maximum(carry, 0)
        if pool:
            n, c, h, w = carry.shape
            carry = np.asarray(carry).reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
    return carry.reshape(len(images), -1)


def torch_logits(arrays, images, batch_norm):
    """What PyTorch computes from its features on."""
    flat = torch_features(arrays, images, batch_norm)
    hidden = np.maximum(flat @ arrays["classifier.1.weight"].T + arrays["classifier.1.bias"], 0)
    return hidden @ arrays["classifier.4.weight"].T + arrays["classifier.4.bias"]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_logits_equal_pytorchs_arithmetic(tmp_path, batch_norm):
    arrays = state_dict(batch_norm)
    save_file(arrays, tmp_path / "vgg.safetensors")
    model = import_network(tmp_path / "vgg.safetensors", NORMALISATION).model
    assert model.network.architecture.blocks == ((5, 6), (7,))
    assert model.network.architecture.input_shape == (16, 16, 3)
    images = np.random.default_rng(1).standard_normal((3, 16, 16, 3)).astype(np.float32)
    expected = torch_logits(arrays, images, batch_norm)
    np.testing.assert_allclose(model.network(images), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("last", [3, 4])
def test_a_batch_norm_behind_a_dense_layer_is_folded_into_it(tmp_path, last, biases):
    """Dense layer, batch norm, ReLU, Dropout or none, dense layer; epsilon counts, since the variances are small."""
    rng = np.random.default_rng(2)
    arrays = {
        name: array for name, array in state_dict(True).items() if name.startswith("features") and array.ndim
    }
    first, second = rng.standard_normal((9, 7 * 4 * 4)), rng.standard_normal((4, 9))
    b, c = (rng.standard_normal(9), rng.standard_normal(4)) if biases else (np.zeros(9), np.zeros(4))
    scale, shift, mean, var = rng.random((4, 9))
    var *= 0.01
    arrays |= {"classifier.0.weight": first, f"classifier.{last}.weight": second}
    arrays |= {"classifier.0.bias": b, f"classifier.{last}.bias": c} if biases else {}
    for part, array in (("weight", scale), ("bias", shift), ("running_mean", mean), ("running_var", var)):
        arrays[f"classifier.1.{part}"] = array
    found = imported(tmp_path, {name: array.astype(np.float32) for name, array in arrays.items()}, epsilon=0.01)
    assert "'classifier.1' folded into the dense layer before, as a batch norm" in found.assumed
    assert found.model.network.architecture.hidden == (9,)
    images = np.random.default_rng(1).standard_normal((3, 16, 16, 3)).astype(np.float32)
    flat = torch_features(arrays, images, batch_norm=True, epsilon=0.01)
    hidden = (flat @ first.T + b - mean) / np.sqrt(var + 0.01) * scale + shift
    expected = np.maximum(hidden, 0) @ second.T + c
    np.testing.assert_allclose(
        found.model.network(images), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )


def test_images_whose_average_makes_a_dense_layer_too_large_are_refused(tmp_path):
    """2**31 numbers are 9 units of 7 channels on 5,838x5,838 positions, behind two pools."""
    arrays = state_dict() | {"classifier.1.weight": np.ones((9, 7 * 7 * 7), np.float32)}
    for size in (5839 * 4, 10**9):
        with pytest.raises(
            StoreError, match=rf"`input_size` {size} is too large .* give `input_size` 23355 or less"
        ):
            imported(tmp_path, arrays, input_size=size)


def test_half_precision_is_read_as_float32(tmp_path):
    save_file(state_dict(dtype=np.float16), tmp_path / "vgg.safetensors")
    model = import_network(tmp_path / "vgg.safetensors", NORMALISATION, classes=("a", "b", "c", "d")).model
    assert model.classes == ("a", "b", "c", "d")
    assert model.network.stages[0].convolution.kernel[...].dtype == np.float32


def changed(**changes):
    arrays = state_dict()
    for name, array in changes.items():
        arrays[name.replace("__", ".")] = array
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        (changed(features__0__weight=None), "needs weight and bias"),
        (changed(layer1__0__weight=np.ones(3, np.float32)), "neither features"),
        (changed(features__0__weight=np.full((5, 3, 3, 3), np.nan, np.float32)), "NaN or infinity"),
        (changed(features__0__weight=np.ones((5, 3, 3, 3), np.int32)), "not floating-point"),
        (changed(features__0__weight=np.ones((5, 3, 5, 5), np.float32)), "kernel of"),
        (changed(features__2__weight=np.ones((6, 4, 3, 3), np.float32)), "shape"),
        (changed(classifier__1__weight=np.ones((9, 50), np.float32)), "square"),
        (
            {"classifier.1.weight": np.ones((2, 2), np.float32), "classifier.1.bias": np.ones(2, np.float32)},
            "4-d",
        ),
    ],
)
def test_files_that_are_no_vgg_are_refused(tmp_path, arrays, sentence):
    save_file(arrays, tmp_path / "vgg.safetensors")
    with pytest.raises(StoreError, match=sentence):
        import_network(tmp_path / "vgg.safetensors", NORMALISATION)


def test_options_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "vgg.safetensors"
    save_file(state_dict(), path)
    with pytest.raises(StoreError, match="`mean` and `std`"):
        import_network(path, Normalisation((0.5,), (0.5,)))
    with pytest.raises(StoreError, match="`classes`"):
        import_network(path, NORMALISATION, classes=("a",))
    with pytest.raises(StoreError, match="`input_size`"):
        import_network(path, NORMALISATION, facts=Facts(input_size=64))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(StoreError, match="safetensors"):
        import_network(path, NORMALISATION)
    with pytest.raises(StoreError, match="missing"):
        import_network(tmp_path / "nothing", NORMALISATION)


def imported(tmp_path, arrays, **facts):
    save_file(arrays, tmp_path / "network.safetensors")
    return import_network(tmp_path / "network.safetensors", NORMALISATION, facts=Facts(**facts))


@pytest.mark.parametrize("epsilon", [None, 0.25])
def test_the_epsilon_of_batch_norms_is_told_or_assumed_and_said(tmp_path, epsilon):
    found = imported(tmp_path, state_dict(True), epsilon=epsilon)
    assert found.model.network.architecture.epsilon == (epsilon or 1e-5)
    assert (epsilon is None) == any("`epsilon`" in sentence for sentence in found.assumed)


@pytest.mark.parametrize(
    ("batch_norm", "facts", "sentence"),
    [
        (False, {"epsilon": 0.001}, "`epsilon` says nothing about a VGG without batch norm"),
        (True, {"stem_pool": False}, "`stem_pool` says nothing about a VGG"),
        (True, {"stem_stride": 1}, "`stem_stride` says nothing about a VGG"),
        (True, {"shortcut_zeros": "behind"}, "`shortcut_zeros` says nothing about a VGG"),
        (True, {"input_size": 3}, "`input_size` 3 is too small .* give `input_size` from 16 to 19"),
        (True, {"pools_after": (1, 3)}, "no room for a pool behind it; it does behind convolution 2"),
        (True, {"pools_after": (2, 4)}, "names convolution 4, and .* has 3"),
        (True, {"pools_after": (2,), "last_pool": "max"}, "`pools_after` lacks the last convolution"),
        (True, {"pools_after": (2, 3), "last_pool": "none"}, "`pools_after` has the last convolution"),
        (True, {"global_average": True}, "`global_average` does not fit"),
    ],
)
def test_facts_that_do_not_fit_the_file_are_refused(tmp_path, batch_norm, facts, sentence):
    with pytest.raises(StoreError, match=sentence):
        imported(tmp_path, state_dict(batch_norm), **facts)


def test_dense_layers_without_an_activation_between_them_are_refused(tmp_path):
    arrays = state_dict()
    moved = {name.replace("classifier.4", "classifier.2"): array for name, array in arrays.items()}
    with pytest.raises(
        StoreError, match="between the dense layers of its classifier there must be an activation"
    ):
        imported(tmp_path, moved)


@pytest.mark.parametrize("name", ["resnet-copied", "resnet-stem", "vgg-average", "vgg-averaged"])
def test_what_is_exported_and_told_comes_back_as_its_definition_in_numpy(tmp_path, name):
    """On square images; of the ResNet whose shortcuts have no weights, nothing is stored for them."""
    network = filled(replace(VARIANTS[name], input_shape=(9, 9, 3)), 1)
    model = Model(network, NORMALISATION, tuple("abcd"))
    arrays = {key: array for key, array in state_dict_of(model).items() if "selection" not in key}
    told = {
        "resnet-copied": {"epsilon": 0.3, "input_size": 9},
        "resnet-stem": {"input_size": 9},
        "vgg-average": {"epsilon": 0.3, "last_pool": "average", "input_size": 9},
        "vgg-averaged": {"last_pool": "none", "global_average": True, "input_size": 9, "pools_after": (1,)},
    }
    found = imported(tmp_path, arrays, **told[name]).model.network
    images = np.random.default_rng(1).standard_normal((3, 9, 9, 3))
    expected = defined(network, images)
    np.testing.assert_allclose(
        logits(found, images.astype(np.float32)), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )


def copied_state(widths=(2, 4, 8)):
    """A ResNet whose shortcuts have no weights, in PyTorch's layout."""
    architecture = ResNetArchitecture(
        "any", widths, tuple((2,) for _ in widths), 3, (8, 8, 3), shortcuts="around"
    )
    arrays = state_dict_of(Model(filled(architecture), NORMALISATION, tuple("abc")))
    return {key: array for key, array in arrays.items() if "selection" not in key}


@pytest.mark.parametrize(
    ("told", "zeros", "said"), [(None, (1, 2), True), ("around", (1, 2), False), ("behind", (0, 0), False)]
)
def test_zeros_beside_copied_channels_are_told_or_assumed_and_said(tmp_path, told, zeros, said):
    found = imported(tmp_path, copied_state(), shortcut_zeros=told)
    assert any("`shortcut_zeros`" in sentence for sentence in found.assumed) == said
    for stage, inputs, before in ((2, 2, zeros[0]), (3, 4, zeros[1])):
        copies = np.zeros((inputs, 2 * inputs))
        copies[np.arange(inputs), before + np.arange(inputs)] = 1
        stored = arrays_of(found.model.network)[f"unit{stage}_1.shortcut.selection"]
        np.testing.assert_array_equal(stored[0, 0], copies)


@pytest.mark.parametrize(
    ("widths", "facts", "sentence"),
    [
        ((4, 2), {}, r"layer2.0 has no shortcut.0.weight and 2 channels for the 4"),
        ((2, 5), {"shortcut_zeros": "around"}, "grow by odd numbers of channels"),
        ((2, 4), {"last_pool": "max"}, "`last_pool` says nothing about a ResNet"),
        ((2,), {"shortcut_zeros": "around"}, "`shortcut_zeros` says nothing about"),
    ],
)
def test_shortcuts_without_weights_that_cannot_be_are_refused(tmp_path, widths, facts, sentence):
    with pytest.raises(StoreError, match=sentence):
        imported(tmp_path, copied_state(widths), **facts)


@pytest.mark.parametrize(
    ("kernel", "facts", "expected", "said"),
    [
        (3, {}, (1, False, 32), 3),
        (7, {}, (2, True, 224), 3),
        (3, {"stem_pool": True, "stem_stride": 1, "input_size": 40}, (1, True, 40), 0),
        (7, {"stem_pool": False, "stem_stride": 1, "input_size": 40}, (1, False, 40), 0),
    ],
)
def test_the_first_layers_of_a_resnet_are_told_or_assumed_and_said(tmp_path, kernel, facts, expected, said):
    arrays = copied_state((2, 4))
    arrays["conv1.weight"] = np.ones((2, 3, kernel, kernel), np.float32)
    found = imported(tmp_path, arrays, **facts)
    architecture = found.model.network.architecture
    assert architecture.stem_kernel == kernel
    assert (architecture.stem_stride, architecture.stem_pool, architecture.input_shape[0]) == expected
    names = ("`stem_stride`", "`stem_pool`", "`input_size`")
    assert sum(name in sentence for sentence in found.assumed for name in names) == said


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("layer1.0.conv3.weight", "bottleneck units"),
        ("layer1.0.shortcut.0.weight", "whose first shortcut is not the identity"),
        ("bn1", "pre-activation"),
    ],
)
def test_residual_networks_that_we_cannot_hold_are_refused(tmp_path, name, sentence):
    arrays = {key: array for key, array in copied_state().items() if not key.startswith(name)}
    if name != "bn1":
        arrays[name] = np.ones((2, 2, 1, 1), np.float32)
    with pytest.raises(StoreError, match=sentence):
        imported(tmp_path, arrays)


def without_statistics(arrays):
    return {name: array for name, array in arrays.items() if "running" not in name}


@pytest.mark.parametrize(
    ("arrays", "name"),
    [
        (without_statistics(state_dict(True)), r"features\.[148]\.weight"),
        (without_statistics(copied_state()), r"[\w.]*bn\d\.weight"),
        (
            state_dict() | {f"classifier.2.{part}": np.ones(9, np.float32) for part in NORM[:2]},
            r"classifier\.2\.weight",
        ),
    ],
)
def test_norms_without_running_statistics_are_refused_with_the_cause(tmp_path, arrays, name):
    with pytest.raises(
        StoreError, match=rf"no running_mean and running_var beside '{name}'; train .*track_running_stats"
    ):
        imported(tmp_path, arrays)


@pytest.mark.parametrize(
    ("arrays", "cause"),
    [
        (copied_state() | {"layer1.0.conv3.weight": np.ones((2, 2, 1, 1), np.float32)}, "bottleneck"),
        (
            copied_state() | {"layer1.0.attention.weight": np.ones((2, 2), np.float32)},
            r"layer1\.0\.attention\.weight",
        ),
        ({name: array for name, array in copied_state().items() if not name.startswith("bn1")}, "pre-activation"),
        (changed(stem__conv__weight=np.ones((5, 3, 3, 3), np.float32)), r"'stem\.conv\.weight'"),
        (changed(features__0__weight=np.ones((5, 3, 5, 7), np.float32)), r"kernel of 5x7 in features\.0"),
        (changed(classifier__1__weight=np.ones((9, 7 * 15), np.float32)), "square images"),
        (
            state_dict() | {f"classifier.3.{part}": np.ones(9, np.float32) for part in NORM},
            r"batch norm in classifier\.3",
        ),
        (
            state_dict() | {f"classifier.2.{part}": np.ones(8, np.float32) for part in NORM},
            r"batch norm in classifier\.2",
        ),
    ],
)
def test_networks_of_other_kinds_are_shown_the_way_through_onnx(tmp_path, arrays, cause):
    with pytest.raises(StoreError, match=rf"{cause}.* through ONNX: torch\.onnx\.export\(.* evoprune import"):
        imported(tmp_path, arrays)


def test_two_last_layers_are_refused(tmp_path):
    arrays = copied_state()
    ends = [key for key in arrays if key.startswith(("fc.", "linear."))]
    arrays |= {("fc." if key[0] == "l" else "linear.") + key.partition(".")[2]: arrays[key] for key in ends}
    with pytest.raises(StoreError, match=r"holds both '.*' and '.*', and a ResNet has one such layer"):
        imported(tmp_path, arrays)
