from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.registry import NETWORKS
from models.stages import Axis
from models.state import stage_arrays
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
    network = architecture.build()
    sizes = {group.name: group.size for group in network.filter_groups}
    for stage in network.stages:
        arrays = stage_arrays(stage)
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
    network = architecture.build()
    sizes = {group.name: group.size for group in network.filter_groups}
    carry = jax.ShapeDtypeStruct((2, *architecture.input_shape), jnp.float32)
    for stage in network.stages:
        specs, observed = stage.specs(), jax.eval_shape(stage.observe, carry)
        for group, kernel, bias in stage.readers():
            assert specs[kernel].axes[-2].group == group
            assert specs[bias].axes == specs[kernel].axes[-1:]
            assert observed[kernel].shape[-1] == sizes[group]
            assert observed[kernel].shape[0] == carry.shape[0]
        carry = jax.eval_shape(partial(stage, keeps={}), carry)
    assert {reader.group for stage in network.stages for reader in stage.readers()} == set(sizes)
