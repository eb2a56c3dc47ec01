import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.studies.merging import merge_incoming, merge_outgoing
from models.arrays import arrays_of, set_arrays
from models.errors import PruningError
from models.networks.vgg import VGGArchitecture
from models.pruning import prune
from tests.models.support.small_networks import logits, positive

ARCHITECTURE = VGGArchitecture("any", ((4, 5), (6,)), (7, 4), 3, (8, 12, 2))
NETWORK = ARCHITECTURE.blank()
INPUTS = jnp.asarray(np.random.default_rng(0).standard_normal((6, 8, 12, 2)), jnp.float32)


def with_twins(group, removed, twin, scale, seed=0):
    """A network whose filter ``removed`` is ``scale`` times ``twin``."""
    network = positive(ARCHITECTURE, seed)
    arrays = arrays_of(network)
    layer = "convolution" if group.startswith("conv") else "dense"
    for part in ("kernel", "bias"):
        array = np.array(arrays[f"{group}.{layer}.{part}"])
        array[..., removed] = scale * array[..., twin]
        arrays[f"{group}.{layer}.{part}"] = array
    set_arrays(network, arrays)
    return network


def masked(network, group, removed=None):
    """Logits with one filter removed, or none."""
    keeps = {each.name: np.ones(each.size, bool) for each in NETWORK.filter_groups}
    if removed is not None:
        keeps[group][removed] = False
    set_arrays(NETWORK, arrays_of(network))
    return _logits(nnx.state(NETWORK), keeps)


@jax.jit
def _logits(state, keeps):
    return nnx.merge(nnx.graphdef(NETWORK), state)(INPUTS, keeps)


def close(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    return np.allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@settings(max_examples=10)
@given(
    st.sampled_from([("conv1_1", 4), ("conv2_1", 6), ("fc1", 7), ("fc2", 4)]),
    st.data(),
    st.floats(0.25, 4),
    st.integers(0, 100),
)
def test_merging_proportional_filters_keeps_the_function(layer, data, scale, seed):
    group, size = layer
    removed, twin = data.draw(st.permutations(range(size)))[:2]
    network = with_twins(group, removed, twin, scale, seed)
    before, arrays = masked(network, group), arrays_of(network)
    assert not close(masked(network, group, removed), before)

    merged = merge_outgoing(network, group, removed, twin, scale)
    assert close(masked(merged, group, removed), before)
    assert close(logits(prune(merged, {group: np.arange(size) != removed}), INPUTS), before)
    assert not close(masked(merge_incoming(network, group, removed, twin), group, removed), before)
    for name, array in arrays_of(network).items():
        np.testing.assert_array_equal(array, arrays[name])


def test_the_literal_rule_adds_incoming_weights_and_biases_and_nothing_else():
    network = positive(ARCHITECTURE, 3)
    before, after = arrays_of(network), arrays_of(merge_incoming(network, "fc1", 2, 5))
    for name, array in before.items():
        expected = np.array(array)
        if name.startswith("fc1."):
            expected[..., 5] += expected[..., 2]
        np.testing.assert_array_equal(after[name], expected)


@pytest.mark.parametrize(
    ("group", "removed", "twin", "sentence"),
    [("conv9", 0, 1, "no layer 'conv9'"), ("fc2", 1, 1, "two of 0 to 3"), ("fc2", 0, 4, "not 0 and 4")],
)
def test_filters_that_cannot_be_merged_are_refused(group, removed, twin, sentence):
    network = positive(ARCHITECTURE)
    with pytest.raises(PruningError, match=sentence):
        merge_outgoing(network, group, removed, twin, 1.0)
    with pytest.raises(PruningError, match=sentence):
        merge_incoming(network, group, removed, twin)
