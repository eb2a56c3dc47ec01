import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.axes import extent
from models.networks.registry import NETWORKS
from models.networks.vgg import VGGArchitecture
from models.stages.initialisation import fan_in_normal
from tests.models.support.residual import ResidualArchitecture

ARCHITECTURES = [
    *(NETWORKS[name](width_multiplier=0.05) for name in NETWORKS),
    VGGArchitecture("flat", ((3,), (5,)), (4,), 3, (12, 8, 2)),
    VGGArchitecture("normed", ((3, 2),), (), 3, (4, 4, 1), batch_norm=True),
    ResidualArchitecture(),
]


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_specs_describe_every_array(architecture):
    network = architecture.blank()
    sizes = {group.name: group.size for group in network.filter_groups}
    for stage in network.stages:
        state = nnx.to_flat_state(nnx.state(stage, (nnx.Param, nnx.BatchStat)))
        arrays = {".".join(map(str, path)): variable.get_value() for path, variable in state}
        specs = stage.specs()
        assert specs.keys() == arrays.keys()
        for path, spec in specs.items():
            extents = tuple(extent(axis, sizes) for axis in spec.axes)
            assert extents == arrays[path].shape, (stage.name, path)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_a_stage_reads_what_the_one_before_wrote(architecture):
    network = architecture.blank()
    stages = list(network.stages)
    names = {group.name for group in network.filter_groups}
    assert [stage.reads for stage in stages] == [None, *(stage.writes for stage in stages[:-1])]
    used = {name for stage in stages for name in (stage.reads, *stage.groups, stage.writes) if name}
    assert used == names
    assert stages[-1].writes is None
    assert len(np.unique([stage.name for stage in stages])) == len(stages)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_readers_name_kernels_over_channels_and_what_these_read(architecture):
    network = architecture.blank()
    sizes = {group.name: group.size for group in network.filter_groups}

    def observed():
        carry, found = jnp.zeros((2, *architecture.input_shape)), {}
        for stage in architecture.build().stages:
            found[stage.name] = stage.observe(carry, {})
            carry = stage(carry, {})
        return found

    shapes = nnx.eval_shape(observed)
    for stage in network.stages:
        specs = stage.specs()
        for reader in stage.readers():
            kernel, bias = reader.kernel, reader.bias
            assert (reader.rows, reader.outputs) == specs[kernel].axes[-2:]
            assert reader.rows.group == reader.group
            assert specs[bias].axes == specs[kernel].axes[-1:]
            assert shapes[stage.name][kernel].shape[-1] == extent(reader.rows, sizes)
            assert shapes[stage.name][kernel].shape[0] == 2
    assert {reader.group for stage in network.stages for reader in stage.readers()} == set(sizes)


@pytest.mark.parametrize("truncated", [False, True])
def test_initial_weights_have_the_distribution_of_jaxs_own(truncated):
    ours, shape = fan_in_normal(2.0, truncated=truncated), (3, 3, 40, 100)
    drawn = np.asarray(ours(jax.random.key(0), shape))
    assert drawn.dtype == np.float32
    # Its deviation is known within a fifth of a percent from so many weights.
    np.testing.assert_allclose(drawn.std(), np.sqrt(2 / 360), rtol=0.01)
    bound = 2 * np.sqrt(2 / 360) / 0.8796
    assert (np.abs(drawn).max() <= bound) == truncated
    np.testing.assert_array_equal(ours(jax.random.key(0), shape), drawn)
    assert not np.array_equal(ours(jax.random.key(1), shape), drawn)
    assert jax.eval_shape(lambda key: ours(key, shape), jax.random.key(0)).shape == shape
