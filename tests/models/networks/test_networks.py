"""Every network of the registry against its definition, its published size, and its pruned self."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from models import model_directory
from models.arrays import arrays_of
from models.cost import masked_cost, network_cost
from models.errors import ArchitectureError, StoreError
from models.lowering import convolution
from models.model_directory import Model
from models.networks.registry import FAMILIES, NETWORKS, architecture_from_json
from models.normalisation import Normalisation
from models.pruning import prune
from models.training.loop import TrainingSettings, train
from models.windows import Window
from tests.models.support.numpy_networks import defined, resnet_copied
from tests.models.support.small_networks import PLAIN, assert_close, keeps_of_widths, small


def dense_parameters(*widths):
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(widths))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet20", 273_258),
        ("lenet5", 61_706),
        ("lenet5-sigmoid", 61_706),
        ("convnet", (5 * 5 * 3 + 1) * 10 + (5 * 5 * 10 + 1) * 16 + dense_parameters(400, 120, 84, 10)),
        ("mlp", dense_parameters(784, 1000, 1000, 500, 200, 10)),
        ("fashion_cnn", 412_778),
    ],
)
def test_parameters_as_published(name, parameters):
    network = NETWORKS[name]().blank()
    assert network_cost(network)[0] == parameters
    assert parameters == sum(array.size for array in jax.tree.leaves(nnx.state(network, nnx.Param)))


def test_filters_of_resnet20_are_tied_by_stage():
    groups = {group.name: group.size for group in NETWORKS["resnet20"]().blank().filter_groups}
    assert list(groups)[:6] == ["stage1", "unit1_1", "unit1_2", "unit1_3", "unit2_1", "stage2"]
    assert [groups[f"stage{s}"] for s in (1, 2, 3)] == [16, 32, 64]
    assert sum(groups.values()) == 112 + 3 * 112


DEEP = [pytest.param(name, marks=pytest.mark.slow) for name in ("vgg16", "vgg19")]
"""As vgg11, with more layers of the same kind."""


@pytest.mark.parametrize("share", [pytest.param(0.3, marks=pytest.mark.slow), 0.6])
@pytest.mark.parametrize("name", [*PLAIN, "vgg11", *DEEP])
def test_whole_and_masked_equal_the_definition_and_cost_what_the_program_multiplies(name, share):
    """What is left of a masked network is computed by NumPy, without the filters that are gone."""
    network = small(name)
    shape = (2, *network.architecture.input_shape)
    inputs = jnp.asarray(np.random.default_rng(2).standard_normal(shape), jnp.float32)
    masked = jax.jit(lambda keeps: network(inputs, keeps))
    whole = masked({group.name: np.ones(group.size, bool) for group in network.filter_groups})
    assert_close(whole, defined(network, inputs))
    if name == "resnet-copied":
        assert_close(whole, resnet_copied(arrays_of(network), inputs))

    @settings(max_examples=3)
    @given(st.integers(0, 2**32 - 1))
    def check(seed):
        keeps = keeps_of_widths(network.filter_groups, np.random.default_rng(seed), share)
        smaller = prune(network, keeps)
        assert_close(defined(smaller, inputs), masked(keeps))
        cost = masked_cost(network, {name: keep[None] for name, keep in keeps.items()}, 1)
        assert (int(cost.parameters[0]), int(cost.macs[0])) == network_cost(smaller)
        assert cost.parameters[0] == sum(array.size for array in jax.tree.leaves(nnx.state(smaller, nnx.Param)))
        assert cost.macs[0] == multiplications(smaller)

    check()


def multiplications(network):
    """Of convolutions and matrix products in the program that JAX makes of the network, for one image."""
    image = jnp.zeros((1, *network.architecture.input_shape))
    macs = 0
    with pytest.MonkeyPatch.context() as patch:
        # XLA's own convolutions, whose multiplications can be read off the program.
        patch.setattr(convolution, "SMALL_MAP", 0)
        patch.setattr(convolution, "FEW_CHANNELS", 0)
        program = jax.make_jaxpr(lambda x: network(x))(image)
    for equation in program.eqns:
        left, right = (
            (variable.aval.shape for variable in equation.invars[:2]) if len(equation.invars) > 1 else ((), ())
        )
        if equation.primitive.name == "conv_general_dilated" and not (
            # A shortcut without weights only copies, though the program does so by a kernel of zeros and ones.
            right[:2] == (1, 1) and getattr(network.architecture, "shortcuts", "projection") != "projection"
        ):
            macs += np.prod(equation.outvars[0].aval.shape) * np.prod(right[:3])
        if equation.primitive.name == "dot_general":
            macs += np.prod(left) * right[1]
    return macs


# The global averages of these two see no sides, which are what the classes differ in.
BLIND = ("resnet-stem", "vgg-averaged")


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("lenet5", "vgg-average") else pytest.param(name, marks=pytest.mark.slow)
        for name in PLAIN
        if name not in BLIND
    ],
)
def test_a_network_learns(name):
    network = small(name)
    height, width, channels = network.architecture.input_shape
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 64).astype(np.int32)
    images = rng.integers(0, 120, (64, height, width, channels), dtype=np.uint8)
    images[labels == 1, :, : width // 2] += 100
    images[labels == 0, :, width // 2 :] += 100
    reports = []
    settings = TrainingSettings(epochs=8, batch_size=16, augmentation="none", warmup_epochs=0.5)
    train(network, Normalisation.of_images(images), images, labels, settings, reports.append)
    assert reports[-1].loss < 0.8 * reports[0].loss
    assert reports[-1].accuracy > 0.8


@pytest.mark.parametrize("name", PLAIN)
def test_a_model_directory_comes_back_as_it_was(name, tmp_path):
    network = small(name)
    channels = network.architecture.input_shape[2]
    model = Model(network, Normalisation((0.5,) * channels, (0.25,) * channels), tuple("abcd"))
    model_directory.save(tmp_path / "model", model)
    loaded = model_directory.load(tmp_path / "model")
    assert loaded.network.architecture == network.architecture
    assert loaded.digest() == model.digest()
    path = tmp_path / "model" / model_directory.DESCRIPTION
    description = json.loads(path.read_text())
    for key in set(description["architecture"]) - {"family", "name"}:
        damaged = {**description["architecture"], key: "x"}
        missing = {name: value for name, value in description["architecture"].items() if name != key}
        for entry in (damaged, missing):
            path.write_text(json.dumps({**description, "architecture": entry}))
            with pytest.raises(StoreError, match=f"model.json is damaged: '{key}'"):
                model_directory.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("resnet20", {"tied": [16]}, "a list of one unit or more"),
        ("resnet20", {"inner": [[16], [], [64]]}, "a list of one unit or more"),
        ("resnet20", {"tied": [16, 0, 64]}, "at least 1"),
        ("lenet5", {"convolutions": [6]}, "must hold 2 widths"),
        ("lenet5", {"sigmoid": 1}, "'sigmoid' of an architecture does not fit: expected bool, got int"),
        ("lenet5", {"input_shape": [15, 32, 1]}, "16x16 pixels or more, not 15x32"),
        ("convnet", {"input_shape": [12, 12]}, "'input_shape' .* array of length 3, got 2"),
        ("mlp", {"convolutions": [3]}, "must hold 0 widths"),
        ("mlp", {"hidden": [10, -1]}, "at least 1"),
        ("fashion_cnn", {"dropout": 1.0}, "'dropout'"),
        ("fashion_cnn", {"map_dropout": None}, "'map_dropout'"),
        ("fashion_cnn", {"classes": True}, "'classes'"),
    ],
)
def test_impossible_architectures_are_refused(name, change, sentence):
    with pytest.raises(ArchitectureError, match=sentence):
        architecture_from_json({**NETWORKS[name]().to_json(), **change})


@pytest.mark.parametrize("name", NETWORKS)
def test_an_architecture_comes_back_from_json(name):
    architecture = NETWORKS[name](width_multiplier=0.5, classes=7)
    assert architecture.family in FAMILIES
    assert architecture.input_shape == NETWORKS[name].input_shape
    assert architecture_from_json(json.loads(json.dumps(architecture.to_json()))) == architecture


def test_batch_norm_is_asked_only_where_it_is_a_choice():
    assert NETWORKS["vgg11"](batch_norm=True).batch_norm
    assert NETWORKS["resnet20"](batch_norm=True) == NETWORKS["resnet20"]()
    with pytest.raises(ArchitectureError, match="resnet20 always has batch norm; leave out `batch_norm`"):
        NETWORKS["resnet20"](batch_norm=False)
    with pytest.raises(ArchitectureError, match="lenet5 has no batch norm; leave out `batch_norm`"):
        NETWORKS["lenet5"](batch_norm=True)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 3), st.booleans())
def test_what_comes_out_of_a_window_is_what_xla_gives(size, kernel, stride, padded):
    window = Window((kernel, 1), stride, padded)
    height, width = window.outputs((size, 9))
    if height > 0:
        shape = jax.eval_shape(
            lambda x, k: jax.lax.conv_general_dilated(
                x, k, (stride, stride), window.padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
            ),
            jnp.zeros((1, size, 9, 1)),
            jnp.zeros((kernel, 1, 1, 1)),
        ).shape
        assert shape == (1, height, width, 1)
