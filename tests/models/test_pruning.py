import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import PruningError
from models.pruning import prune
from models.state import arrays_of
from models.vgg import VGGArchitecture


def randomised(architecture, seed):
    """A network whose biases and batch statistics are not zeros and ones either."""
    network = architecture.build(seed)
    rng = np.random.default_rng(seed)
    state = nnx.state(network)

    def noisy(array):
        return jnp.asarray(np.abs(array + 0.3 * rng.standard_normal(array.shape)), jnp.float32)

    nnx.update(network, nnx.map_state(lambda _, variable: variable.replace(noisy(variable[...])), state))
    return network


@settings(max_examples=8)
@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3), min_size=1, max_size=3),
    st.lists(st.integers(1, 8), max_size=2),
    st.booleans(),
    st.tuples(st.integers(8, 19), st.integers(8, 19)),
    st.floats(0.05, 1),
    st.integers(0, 2**32 - 1),
)
def test_masked_equals_physically_pruned(blocks, hidden, batch_norm, size, share, seed):
    architecture = VGGArchitecture("any", tuple(map(tuple, blocks)), tuple(hidden), 4, (*size, 3), batch_norm)
    network = randomised(architecture, seed % 1000)
    rng = np.random.default_rng(seed)
    keeps = {group.name: rng.random(group.size) < share for group in network.filter_groups}
    for keep in keeps.values():
        keep[rng.integers(len(keep))] = True
    inputs = jnp.asarray(rng.standard_normal((3, *size, 3)), jnp.float32)
    masked = np.asarray(network(inputs, keeps))
    pruned = np.asarray(prune(network, keeps)(inputs))
    np.testing.assert_allclose(pruned, masked, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(masked).max()))


def test_a_removed_filter_leaves_no_trace_even_if_it_is_not_finite():
    network = VGGArchitecture("any", ((3, 2),), (), 2, (4, 4, 1)).build()
    stage = network.stages[0].convolution
    stage.kernel[...] = stage.kernel[...].at[..., 1].set(jnp.nan)
    inputs = jnp.ones((1, 4, 4, 1))
    keeps = {"conv1_1": np.array([True, False, True])}
    assert np.isnan(network(inputs)).any()
    np.testing.assert_allclose(network(inputs, keeps), prune(network, keeps)(inputs), rtol=1e-5)


def test_keeping_everything_changes_no_weight(tiny_model):
    network = tiny_model.network
    keeps = {group.name: np.ones(group.size, bool) for group in network.filter_groups}
    for name, array in arrays_of(prune(network, keeps)).items():
        np.testing.assert_array_equal(array, arrays_of(network)[name])


@pytest.mark.parametrize(
    ("keeps", "sentence"),
    [
        ({"conv9_9": np.ones(4, bool)}, "no layer 'conv9_9'"),
        ({"conv1_1": np.ones(5, bool)}, r"bool\[4\]"),
        ({"conv1_1": np.ones(4, int)}, r"bool\[4\]"),
        ({"conv1_1": np.zeros(4, bool)}, "every filter of layer 'conv1_1'"),
    ],
)
def test_masks_that_do_not_fit_are_refused(tiny_model, keeps, sentence):
    with pytest.raises(PruningError, match=sentence):
        prune(tiny_model.network, keeps)
