"""The network of a checkpoint: found under any key, never guessed among several, and what was taken is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from models.errors import StoreError
from models.torch import names
from models.torch.state_dict import read_state_dict
from tests.models.support.torch_files import Global, Made, save


def doubled(arrays):
    return {name: 2 * array for name, array in arrays.items()}


def under(prefix, arrays):
    return {prefix + name: array for name, array in arrays.items()}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


VGG_NAMES = ["features.0.weight", "features.0.bias", "features.1.running_mean", "classifier.weight"]
RESNET_NAMES = ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer1.0.shortcut.0.weight", "fc.bias"]
WRAPPERS = [
    "module",
    "_orig_mod",
    "model",
    "net",
    "backbone",
    "network",
    "encoder",
    "0",
    "student",
    "features",
    "classifier",
    "my_net",
]


@given(st.lists(st.sampled_from(WRAPPERS), max_size=5), st.sampled_from([VGG_NAMES, RESNET_NAMES]))
def test_prefixes_in_any_order_and_depth_are_taken_off(prefixes, plain):
    prefix = "".join(f"{part}." for part in prefixes)
    without = names.without_markers([prefix + name for name in plain])
    [network], strangers = names.networks(without.values())
    assert list(network.names) == plain
    assert strangers == []
    assert [network.names[name] for name in plain] == list(without.values())


@pytest.mark.parametrize("marker", ["module", "_orig_mod"])
def test_a_part_of_a_network_may_be_wrapped_alone(tmp_path, vgg, marker):
    wrapped = {name.replace("features.", f"features.{marker}."): array for name, array in vgg.items()}
    save_file(wrapped, tmp_path / "a.safetensors")
    found = read_state_dict(tmp_path / "a.safetensors")
    assert_equal(found.arrays, vgg)
    assert found.assumed == ()


@pytest.mark.parametrize(
    "content",
    [
        lambda vgg: {"state_dict": vgg, "optimizer": {"state": {0: {"exp_avg": vgg}}, "param_groups": []}},
        lambda vgg: {"any key": vgg, "epoch": 3, "confusion": np.ones((4, 4), np.float32)},
        lambda vgg: {"a": {"b": {"c": vgg}}},
        lambda vgg: [vgg, {"param_groups": [], "state": vgg}],
        lambda vgg: {"state_dict": under("model.", vgg), "pytorch-lightning_version": "2", "loops": {"a": {}}},
        lambda vgg: {"model": vgg, "same": vgg},
        lambda vgg: Made(Global("types", "SimpleNamespace"), state={"net": vgg}),
    ],
)
def test_one_network_is_found_under_any_key_and_the_key_is_said(tmp_path, vgg, content):
    found = read_state_dict(save(content(vgg), tmp_path / "a.pt"))
    assert_equal(found.arrays, vgg)
    [sentence] = found.assumed
    assert sentence.startswith("the weights are those of '")


@pytest.mark.parametrize(
    "average", ["ema", "model_ema", "state_dict_ema", "ema_state_dict", "swa_model", "teacher"]
)
@pytest.mark.parametrize("raw", ["state_dict", "model", "weights"])
def test_raw_weights_or_their_average_are_taken_and_said(tmp_path, vgg, average, raw):
    path = save({raw: vgg, average: doubled(vgg), "epoch": 3}, tmp_path / "a.pt")
    for option, expected in [(None, vgg), (raw, vgg), (average, doubled(vgg))]:
        found = read_state_dict(path, option)
        assert_equal(found.arrays, expected)
        said = f"the weights are those of {raw!r}, not of {average!r} (`weights`)"
        # What the user told is not assumed.
        assert found.assumed == (() if option else (said,))
    assert_equal(read_state_dict(save({average: vgg}, path)).arrays, vgg)


def test_averaged_models_have_no_counter(tmp_path, vgg):
    averaged = {"n_averaged": np.array(5), **under("module.", vgg)}
    found = read_state_dict(save(averaged, tmp_path / "a.pt"))
    assert_equal(found.arrays, vgg)
    assert found.assumed == ("the weights are an average, as AveragedModel saves",)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (lambda vgg: {"generator": vgg, "critic": doubled(vgg)}, "'generator', 'critic'"),
        (lambda vgg: {"state_dict": vgg, "best_state_dict": doubled(vgg)}, "'state_dict', 'best_state_dict'"),
        (lambda vgg: {"ema": vgg, "swa": doubled(vgg)}, "'ema', 'swa'"),
        (lambda vgg: {**under("a.", vgg), **under("b.", doubled(vgg))}, "'a', 'b'"),
    ],
)
def test_of_several_networks_none_is_taken_until_an_option_says_which(tmp_path, vgg, content, options):
    path = save(content(vgg), tmp_path / "a.pt")
    with pytest.raises(StoreError, match=f"holds several networks, under {options}; choose one by `weights`"):
        read_state_dict(path)
    first, second = options.replace("'", "").split(", ")
    assert_equal(read_state_dict(path, first).arrays, vgg)
    assert_equal(read_state_dict(path, second).arrays, doubled(vgg))
    with pytest.raises(StoreError, match=f"has no network under `weights` 'other'; choose {options}"):
        read_state_dict(path, "other")


def test_networks_in_one_state_dict_are_chosen_by_their_prefix(tmp_path, vgg):
    path = save(
        {"state_dict": {**under("model.", vgg), **under("ema_model.module.", doubled(vgg))}}, tmp_path / "a.pt"
    )
    assert_equal(read_state_dict(path).arrays, vgg)
    for option in ("ema_model", "ema_model.module.", "state_dict.ema_model"):
        assert_equal(read_state_dict(path, option).arrays, doubled(vgg))
    path = save({**vgg, **under("teacher.", doubled(vgg))}, tmp_path / "a.pt")
    assert_equal(read_state_dict(path).arrays, vgg)
    assert_equal(read_state_dict(path, "teacher").arrays, doubled(vgg))


def test_what_lies_beside_the_weights_is_said(tmp_path, vgg):
    beside = {
        "criterion.weight": np.ones(4, np.float32),
        "epoch": 3,
        "step": np.array([5]),
        "best": np.float32(0.5),
    }
    found = read_state_dict(save({**under("net.", vgg), **beside}, tmp_path / "a.pt"))
    assert_equal(found.arrays, vgg)
    assert found.assumed == (
        "the weights are those of 'net'",
        "'epoch', 'step', 'best' left out, as no layer has such an array",
        "'criterion.weight' left out, which belong to the training",
    )


def test_a_layer_beside_the_network_is_not_left_out_without_the_users_word(tmp_path, vgg):
    beside = {"head.weight": np.ones((3, 4), np.float32)}
    path = save({**under("net.", vgg), **beside}, tmp_path / "a.pt")
    with pytest.raises(StoreError, match=r"holds 'head\.weight' beside the network under 'net'; `weights` 'net'"):
        read_state_dict(path)
    found = read_state_dict(path, "net")
    assert_equal(found.arrays, vgg)
    assert "'head.weight' left out" in found.assumed


def test_layers_under_two_roots_are_one_network_unless_they_collide(tmp_path, vgg):
    split = {
        ("encoder." if name.startswith("features") else "head.") + name: array for name, array in vgg.items()
    }
    found = read_state_dict(save(split, tmp_path / "a.pt"))
    assert_equal(found.arrays, vgg)
    assert found.assumed == ("the layers under 'encoder', 'head' are one network",)
    twice = {**under("encoder.", vgg), "head.fc.weight": np.ones((3, 4), np.float32)}
    with pytest.raises(StoreError, match=r"holds 'head\.fc\.weight' beside"):
        read_state_dict(save(twice, tmp_path / "a.pt"))


def test_blocks_of_other_networks_are_not_taken_for_networks(tmp_path):
    wide = {
        f"block{b}.layer.0.{part}.weight": np.ones((2, 2), np.float32)
        for b in (1, 2)
        for part in ("conv1", "bn1")
    }
    wide |= {"conv1.weight": np.ones((2, 2), np.float32), "fc.weight": np.ones((2, 2), np.float32)}
    assert_equal(read_state_dict(save(under("model.", wide), tmp_path / "a.pt")).arrays, wide)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, r"holds no state_dict; save model\.state_dict\(\)"),
        (3, "holds no state_dict"),
        (np.ones((3, 3), np.float32), "holds no state_dict"),
        ({"epoch": 3, "lr": 0.1}, "holds no state_dict, only 'epoch', 'lr'"),
        ({"features.0.weight": 3, "features.2.weight": np.ones((3, 3), np.float32)}, "no plain tensor.*int"),
        ({"a.weight": np.ones((3, 3), np.complex64)}, "complex64"),
        ({"a.weight": np.ones((3, 3), np.uint8)}, "uint8 in 'a.weight', not floating-point"),
        ({"a.weight": np.full((3, 3), np.inf, np.float32)}, "NaN or infinity"),
        ({"a.weight": np.full((3, 3), 1e300)}, "infinity as float32 in 'a.weight'"),
        (
            {"a._packed_params.dtype": 3, "b.weight": np.ones((3, 3), np.float32)},
            "quantised layer.*save the state_dict of the float network",
        ),
        (
            {"a.weight": Made(Global("torch._utils", "_rebuild_qtensor"), 3)},
            r"no plain tensor in 'a\.weight' \(torch\._utils\._rebuild_qtensor\)",
        ),
        (
            {
                "a.weight": Made(
                    Global("torch._utils", "_rebuild_meta_tensor_no_storage"), Global("torch", "float32"), (3, 3)
                )
            },
            "no data",
        ),
        (
            Made(Global("nets", "Net"), state={"_modules": {}}),
            r"class nets\.Net.*weights_only=False\)\.state_dict",
        ),
        (
            {"model": Made(Global("nets", "Net"), state={"_modules": {}})},
            r"class nets\.Net.*weights_only=False\)\['model'\]\.state_dict",
        ),
    ],
)
def test_what_holds_no_weights_gets_a_sentence_of_its_own(tmp_path, content, sentence):
    with pytest.raises(StoreError, match=sentence):
        read_state_dict(save(content, tmp_path / "a.pt"))
