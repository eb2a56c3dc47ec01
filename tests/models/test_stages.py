import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.registry import NETWORKS
from models.stages import Axis
from models.vgg import VGGArchitecture
from tests.models.residual import ResidualArchitecture

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
            extents = tuple(
                sizes[axis.group] * axis.positions if isinstance(axis, Axis) else axis for axis in spec.axes
            )
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
            found[stage.name] = stage.observe(carry)
            carry = stage(carry, {})
        return found

    shapes = nnx.eval_shape(observed)
    for stage in network.stages:
        specs = stage.specs()
        for group, kernel, bias, _ in stage.readers():
            assert specs[kernel].axes[-2].group == group
            assert specs[bias].axes == specs[kernel].axes[-1:]
            assert shapes[stage.name][kernel].shape[-1] == sizes[group]
            assert shapes[stage.name][kernel].shape[0] == 2
    assert {reader.group for stage in network.stages for reader in stage.readers()} == set(sizes)
