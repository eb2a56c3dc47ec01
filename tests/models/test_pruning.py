import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import arrays_of
from models.errors import PruningError
from models.networks.vgg import VGGArchitecture
from models.pruning import prune
from tests.models.support.numpy_networks import defined
from tests.models.support.small_networks import assert_close, filled, keeps_of_widths, logits

ARCHITECTURES = {
    "one block": VGGArchitecture("any", ((6,),), (), 4, (8, 11, 3)),
    "deep, with batch norm": VGGArchitecture("any", ((3, 9, 5), (4, 2)), (8,), 4, (9, 14, 3), True),
    "odd maps": VGGArchitecture("any", ((7,), (4,), (9,)), (8, 5), 4, (19, 13, 3)),
    "single filters": VGGArchitecture("any", ((1, 4), (1,)), (1, 6), 4, (8, 8, 3), True),
}


@pytest.mark.parametrize("share", [0.0, 0.6])
@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_masked_equals_physically_pruned(architecture, share):
    network = filled(architecture)
    inputs = jnp.asarray(np.random.default_rng(1).standard_normal((3, *architecture.input_shape)), jnp.float32)

    @settings(max_examples=5)
    @given(st.integers(0, 2**32 - 1))
    def check(seed):
        keeps = keeps_of_widths(network.filter_groups, np.random.default_rng(seed), share)
        assert_close(defined(prune(network, keeps), inputs), logits(network, inputs, keeps))

    check()


def test_a_removed_filter_leaves_no_trace_even_if_it_is_not_finite():
    network = filled(VGGArchitecture("any", ((3, 2),), (), 2, (4, 4, 1)))
    stage = network.stages[0].convolution
    stage.kernel[...] = stage.kernel[...].at[..., 1].set(jnp.nan)
    inputs = jnp.ones((1, 4, 4, 1))
    keeps = {"conv1_1": np.array([True, False, True])}
    assert np.isnan(logits(network, inputs)).any()
    np.testing.assert_allclose(logits(network, inputs, keeps), logits(prune(network, keeps), inputs), rtol=1e-5)


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
