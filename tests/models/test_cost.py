import jax
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cost import masked_cost, network_cost
from models.networks.registry import NETWORKS
from models.networks.vgg import VGGArchitecture
from models.pruning import prune
from tests.models.support.small_networks import filled


@pytest.mark.parametrize(
    ("name", "parameters", "macs", "filters"),
    [("vgg16", 15_245_130, 313_725_952, 4_224), ("vgg19", 20_554_826, 398_660_608, 5_504)],
)
def test_the_counts_of_the_thesis(name, parameters, macs, filters):
    network = NETWORKS[name]().blank()
    assert network_cost(network) == (parameters, macs)
    assert sum(group.size for group in network.filter_groups if group.kind == "convolution") == filters


def counted(network):
    """Parameters from the arrays themselves; MACs from the shapes of the carries that JAX traces."""
    parameters = sum(array.size for array in jax.tree.leaves(nnx.state(network, nnx.Param)))
    macs = 0
    carry = jax.ShapeDtypeStruct((1, *network.architecture.input_shape), np.float32)
    for stage in network.stages:
        before = carry
        carry = jax.eval_shape(lambda stage, carry: stage(carry, {}), stage, carry)
        kernels = [leaf for leaf in jax.tree.leaves(nnx.state(stage, nnx.Param)) if leaf.ndim > 1]
        positions = before.shape[1] * before.shape[2] if kernels[0].ndim == 4 else 1
        macs += kernels[0].size * positions
    return parameters, macs


@settings(max_examples=12)
@given(
    st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=2), min_size=1, max_size=3),
    st.lists(st.integers(1, 6), max_size=2),
    st.booleans(),
    st.integers(8, 13),
    st.integers(0, 2**32 - 1),
)
def test_closed_form_equals_counting_the_pruned_network(blocks, hidden, batch_norm, size, seed):
    architecture = VGGArchitecture(
        "any", tuple(map(tuple, blocks)), tuple(hidden), 3, (size, size + 3, 2), batch_norm
    )
    network = filled(architecture)
    rng = np.random.default_rng(seed)
    keeps = {group.name: rng.random((3, group.size)) < 0.5 for group in network.filter_groups}
    for keep in keeps.values():
        keep[:, 0] = True
    cost = masked_cost(network, keeps, 3)
    assert cost.parameters.dtype == cost.macs.dtype == np.int64
    row = int(rng.integers(3))
    smaller = prune(network, {name: keep[row] for name, keep in keeps.items()})
    assert counted(smaller) == (cost.parameters[row], cost.macs[row]) == network_cost(smaller)
