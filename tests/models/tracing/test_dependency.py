import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from models.axes import Axis, Joined
from models.contract import FilterGroup
from models.errors import DependencyError, PruningError
from models.tracing.analysis import analyse
from models.tracing.pruned import prune_module
from tests.models.support.random_pruning import assert_pruned_equals_masked, disturbed, prune_at_random
from tests.models.support.small_networks import random_keeps
from tests.models.support.user_networks import INPUT_SHAPES, NETWORKS, DenseNet, MobileNet, ResNet

FILTERS = {
    "PlainCNN": 8 + 12 + 20,
    "ResNet": 6 + 6 + 10 + 10 + 10,
    "DenseNet": 6 + 4 + 4 + 7 + 4 + 4,
    "MLP": 24 + 16,
}


class Between(nnx.Module):
    """Two convolutions with something between them, then a head."""

    def __init__(self, between, *, inner=6, reads=None, groups=1, outer=6, rows=6):
        rngs = nnx.Rngs(0)
        self.between = between
        self.first = nnx.Conv(2, inner, (3, 3), rngs=rngs)
        self.second = nnx.Conv(reads or inner, outer, (3, 3), feature_group_count=groups, rngs=rngs)
        self.head = nnx.Linear(rows, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.between(self, jnp.tanh(self.first(x))))


@pytest.fixture(autouse=True)
def quick_compilation():
    """Many small programs are compiled here, and run once."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def pooled(x):
    return x.mean(axis=(1, 2))


def shuffled(x, parts):
    parted = x.reshape(*x.shape[:-1], parts, x.shape[-1] // parts)
    return jnp.swapaxes(parted, -1, -2).reshape(x.shape)


def shuffled_in_front(x, parts):
    """The same with channels first, in spite of equal extents on the way."""
    x = jnp.transpose(x, (0, 3, 1, 2))
    parted = x.reshape(x.shape[0], parts, x.shape[1] // parts, *x.shape[2:])
    return jnp.transpose(jnp.transpose(parted, (0, 2, 1, 3, 4)).reshape(x.shape), (0, 2, 3, 1))


def halves(x):
    return jnp.split(x, 2, axis=-1)


SUPPORTED = {
    "plain": (lambda net, x: pooled(nnx.relu(net.second(x))), {}),
    "groups": (lambda net, x: pooled(nnx.sigmoid(net.second(x))), {"groups": 3}),
    "groups that widen": (lambda net, x: pooled(net.second(x)), {"groups": 3, "outer": 12, "rows": 12}),
    "depthwise multiplier": (lambda net, x: pooled(net.second(x)), {"groups": 6, "outer": 12, "rows": 12}),
    "twice": (lambda net, x: pooled(jnp.concatenate([net.second(x), x, net.second(x)], -1)), {"rows": 18}),
    "flattened": (
        lambda net, x: jnp.concatenate([net.second(x), x], -1)[:, ::2, ::2].reshape(x.shape[0], -1),
        {"rows": 12 * 4},
    ),
    "channels first": (
        lambda net, x: jnp.transpose(net.second(x), (0, 3, 1, 2)).reshape(x.shape[0], -1),
        {"rows": 6 * 16},
    ),
    "padded in space": (lambda net, x: pooled(net.second(jnp.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0))))), {}),
    "gated": (lambda net, x: pooled(x * nnx.sigmoid(net.second(x))), {}),
    "under jit": (lambda net, x: pooled(jax.jit(nnx.softplus)(net.second(jax.checkpoint(jnp.sin)(x)))), {}),
    "maximum over space": (lambda net, x: jnp.max(net.second(x), axis=(1, 2)), {}),
    "shuffled": (lambda net, x: pooled(net.second(shuffled(x, 2))), {}),
    "shuffled by threes": (lambda net, x: pooled(nnx.relu(net.second(shuffled(x, 3)))), {}),
    "shuffled with channels first": (lambda net, x: pooled(net.second(shuffled_in_front(x, 2))), {"inner": 8}),
    "shuffled twice": (lambda net, x: pooled(net.second(shuffled(shuffled(x, 4), 2))), {"inner": 16}),
    "in halves": (lambda net, x: pooled(net.second(halves(x)[1] * nnx.sigmoid(halves(x)[0]))), {"reads": 3}),
    "split around a shuffle": (
        lambda net, x: pooled(
            shuffled(jnp.concatenate([halves(shuffled(x, 2))[0], net.second(halves(x)[1])], -1), 2)
        ),
        {"inner": 12, "reads": 6, "rows": 12},
    ),
    "indices in space": (lambda net, x: pooled(net.second(x[:, np.array([2, 0, 0]), 1:])), {}),
}
UNSUPPORTED = {
    "sort": lambda net, x: pooled(net.second(jnp.sort(x, axis=-1))),
    "reduce_sum": lambda net, x: pooled(net.second(x - x.mean(-1, keepdims=True))),
    "reshape": lambda net, x: pooled(net.second(x.reshape(*x.shape[:3], 3, 2).swapaxes(3, 4).reshape(x.shape))),
    "split": lambda net, x: pooled(net.second(jnp.concatenate(jnp.split(x, [3], axis=-1)[::-1], -1))),
    "gather": lambda net, x: pooled(net.second(x[..., np.array([5, 0, 1, 2, 4, 3])])),
    "slice": lambda net, x: pooled(net.second(jnp.concatenate([x[..., 3:], x[..., :3]], -1))),
    "rev": lambda net, x: pooled(net.second(x[..., ::-1])),
    "pad": lambda net, x: pooled(net.second(lax.pad(x, 0.0, ((0, 0, 0), (0, 0, 0), (0, 0, 0), (1, -1, 0))))),
    "mul": lambda net, x: pooled(net.second(x * jnp.arange(6.0))),
    "cumsum": lambda net, x: pooled(net.second(jnp.cumsum(x, axis=-1))),
}


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_pruned_equals_masked(network):
    prune_at_random(network, 1)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_all_filters_but_the_classes_are_found(network):
    dependencies = analyse(nnx.eval_shape(lambda: network(nnx.Rngs(0))), INPUT_SHAPES[network])
    assert [entry.reason for entry in dependencies.left_whole] == ["output"]
    if network.__name__ in FILTERS:
        assert sum(dependencies.sizes.values()) == FILTERS[network.__name__]


def test_what_is_added_is_tied():
    dependencies = analyse(ResNet(nnx.Rngs(0)), (8, 8, 3))
    assert dependencies.layers["stem"] == ("stem", "blocks.0.conv2")
    assert dependencies.layers["blocks.1.conv2"] == ("blocks.1.conv2", "blocks.1.shortcut", "blocks.2.conv2")


def test_a_depthwise_filter_goes_with_its_input_and_its_gate():
    dependencies = analyse(MobileNet(nnx.Rngs(0)), (16, 16, 3))
    block = "blocks.layers.1"
    assert dependencies.layers[f"{block}.expand"] == (f"{block}.expand", f"{block}.depthwise", f"{block}.excite")
    assert FilterGroup(f"{block}.squeeze", 4, "dense") in dependencies.filter_groups


def test_offsets_behind_concatenation_and_flattening():
    dependencies = analyse(DenseNet(nnx.Rngs(0)), (16, 16, 3))
    parts = (Axis("transition"), Axis("block2.0.conv"), Axis("block2.1.conv"))
    assert dependencies.specs["bn.var"].axes == (Joined(parts),)
    assert dependencies.specs["head.kernel"].axes == (Joined(parts, positions=4), 5)


@pytest.mark.parametrize("name", SUPPORTED)
def test_supported_structures(name):
    between, sizes = SUPPORTED[name]
    module = disturbed(Between(between, **sizes))
    dependencies = analyse(module, (4, 4, 2))
    assert {layer for layers in dependencies.layers.values() for layer in layers} == {"first", "second"}
    rng = np.random.default_rng(1)
    images = jnp.asarray(rng.standard_normal((3, 4, 4, 2)), jnp.float32)
    assert_pruned_equals_masked(module, dependencies, random_keeps(dependencies.filter_groups, rng), images)


@pytest.mark.parametrize("primitive", UNSUPPORTED)
def test_what_is_not_supported_is_left_whole_and_named(primitive):
    module = disturbed(Between(UNSUPPORTED[primitive]))
    dependencies = analyse(module, (4, 4, 2))
    assert dependencies.layers == {"second": ("second",)}
    assert f"left whole: first, because of '{primitive}'" in map(str, dependencies.left_whole)
    images = jnp.asarray(np.random.default_rng(1).standard_normal((3, 4, 4, 2)), jnp.float32)
    keeps = {"second": np.arange(6) % 2 == 0}
    assert_pruned_equals_masked(module, dependencies, keeps, images)


def test_a_pruned_module_can_be_pruned_again():
    rng = np.random.default_rng(0)
    module = disturbed(DenseNet(nnx.Rngs(0)))
    dependencies = analyse(module, (16, 16, 3))
    keeps = {group.name: np.arange(group.size) >= 1 for group in dependencies.filter_groups}
    smaller = prune_module(module, dependencies, keeps)
    again = analyse(smaller, (16, 16, 3))
    assert again.sizes == {name: size - 1 for name, size in dependencies.sizes.items()}
    images = jnp.asarray(rng.standard_normal((2, 16, 16, 3)), jnp.float32)
    assert_pruned_equals_masked(smaller, again, random_keeps(again.filter_groups, rng), images)


def test_code_that_fixes_sizes_is_named():
    module = Between(lambda net, x: net.second(x).reshape(x.shape[0], 16, 6).mean(1))
    dependencies = analyse(module, (4, 4, 2))
    with pytest.raises(PruningError, match="fixes sizes in its own code"):
        prune_module(module, dependencies, {"second": np.arange(6) > 2})


def test_code_that_depends_on_the_number_of_channels_is_found():
    module = Between(lambda net, x: pooled(net.second(x * 100 / x.shape[-1] ** 2)))
    dependencies = analyse(module, (4, 4, 2))
    with pytest.raises(PruningError, match="something else with fewer filters"):
        prune_module(module, dependencies, {"first": np.arange(6) > 2})


def test_masks_that_do_not_fit_are_refused():
    module = Between(lambda net, x: pooled(net.second(x)))
    dependencies = analyse(module, (4, 4, 2))
    with pytest.raises(PruningError, match="every filter of layer 'first'"):
        prune_module(module, dependencies, {"first": np.zeros(6, bool)})


def test_a_module_that_takes_no_such_images_is_an_error():
    with pytest.raises(DependencyError, match="cannot be called with images of shape"):
        analyse(Between(lambda net, x: pooled(net.second(x))), (4, 4, 3))
    with pytest.raises(DependencyError, match="must return logits"):
        analyse(Between(lambda net, x: net.second(x)), (4, 4, 2))
