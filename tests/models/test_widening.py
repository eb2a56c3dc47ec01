"""Wider layers: the same logits, the same arrays among zeros."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from models.arrays import arrays_of
from models.networks.resnet import ResNetArchitecture
from models.networks.vgg import VGGArchitecture
from models.pruning import prune
from models.tracing import factories
from models.tracing.architecture import ModuleArchitecture
from models.widening import multiples, widen
from tests.models.support.own_networks import NAMES, built
from tests.models.support.small_networks import assert_close, filled, keeps_of_widths, logits, small

NETWORKS = {
    "vgg": lambda: filled(VGGArchitecture("any", ((3, 5), (4,)), (6,), 4, (8, 10, 3))),
    "vgg, batch norm": lambda: filled(VGGArchitecture("any", ((3,), (4, 2)), (8,), 4, (9, 14, 3), True)),
    "resnet": lambda: filled(ResNetArchitecture("tiny", (5, 6), ((4,), (3,)), 3, (8, 8, 2))),
    "resnet-copied": lambda: small("resnet-copied"),
    **{name: lambda name=name: built(name) for name in NAMES},
}


class Divided(nnx.Module):
    """Divides each channel by a weight of its own."""

    def __init__(self, rngs):
        self.first = nnx.Conv(3, 6, (3, 3), rngs=rngs)
        self.spread = nnx.Param(jnp.linspace(0.5, 2, 6))
        self.second = nnx.Conv(6, 4, (3, 3), rngs=rngs)
        self.head = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, images):
        carry = nnx.relu(self.first(images) / self.spread)
        return self.head(nnx.relu(self.second(carry)).mean((1, 2)))


def divided(rngs, *, input_shape, classes):
    return Divided(rngs)


def sizes_of(network):
    return {group.name: group.size for group in network.filter_groups}


ALWAYS = ("vgg", "vgg, batch norm", "resnet", "resnet-copied", "ResNet", "ShuffleNet")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in NETWORKS]
)
def test_a_widened_network_answers_the_same_and_holds_the_same_arrays(name):
    network = NETWORKS[name]()
    rng = np.random.default_rng(3)
    smaller = prune(network, keeps_of_widths(network.filter_groups, rng, 0.6))
    inputs = jnp.asarray(rng.standard_normal((3, *network.architecture.input_shape)), jnp.float32)
    widths = multiples(sizes_of(smaller), sizes_of(network), 3)
    before = arrays_of(smaller)
    wider = widen(smaller, widths)
    assert sizes_of(wider) == widths != sizes_of(smaller)
    assert_close(logits(wider, inputs), logits(smaller, inputs))
    first = {group: np.arange(width) < sizes_of(smaller)[group] for group, width in widths.items()}
    for path, array in arrays_of(prune(wider, first)).items():
        np.testing.assert_array_equal(array, before[path])


@given(
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(1, 40), st.integers(0, 40))),
    st.integers(1, 20),
)
def test_widths_are_the_next_multiples_or_whole(groups, multiple):
    sizes = {name: size for name, (size, _) in groups.items()}
    whole = {name: size + more for name, (size, more) in groups.items()}
    for name, width in multiples(sizes, whole, multiple).items():
        assert sizes[name] <= width <= whole[name]
        assert width < sizes[name] + multiple
        assert width % multiple == 0 or width == whole[name]


def test_added_batch_norms_have_a_variance_to_divide_by():
    network = NETWORKS["vgg, batch norm"]()
    wider = arrays_of(widen(prune(network, {"conv1_1": np.array([True, False, False])}), {"conv1_1": 3}))
    (variance,) = (array for path, array in wider.items() if path.startswith("conv1_1") and path.endswith("var"))
    assert (variance == variance[0]).all()
    assert variance[0] > 0
    kernels = [array for path, array in wider.items() if path.startswith("conv2_1") and path.endswith("kernel")]
    assert all((array[:, :, 1:] == 0).all() for array in kernels)


def test_nothing_is_divided_by_zero():
    factories.load(name := f"{__name__}:divided")
    network = ModuleArchitecture(name, (8, 8, 3), 5).build(1)
    (group,) = (group for group in network.filter_groups if group.size == 6)
    smaller = prune(network, {group.name: np.arange(6) < 4})
    inputs = jnp.asarray(np.random.default_rng(0).standard_normal((2, 8, 8, 3)), jnp.float32)
    assert_close(logits(widen(smaller, {group.name: 6}), inputs), logits(smaller, inputs))


def test_a_network_that_is_wider_than_the_whole_one_keeps_its_widths():
    """As where ``bench`` is given its two directories the other way round."""
    assert multiples({"a": 5, "b": 3}, {"a": 4, "b": 9}, 8) == {"a": 5, "b": 8}
