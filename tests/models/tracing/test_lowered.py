"""Convolutions of traced networks that a lowering computes: the same results as the program's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.arrays import stage_arrays
from models.contract import run_chain
from models.lowering import convolution, winograd
from models.tracing import factories
from models.tracing.architecture import ModuleArchitecture
from tests.models.support.random_pruning import disturbed
from tests.models.support.small_networks import assert_close, random_keeps

CHANNELS_FIRST = ("NCHW", "OIHW", "NCHW")


class Convolutions(nnx.Module):
    """On maps of 2x2, where minimal filtering pays for any number of channels, in both orders of axes."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.stem = nnx.Conv(3, 5, (3, 3), strides=(2, 2), rngs=rngs)
        self.plain = nnx.Conv(5, 6, (3, 3), rngs=rngs)
        self.grouped = nnx.Conv(6, 6, (3, 3), feature_group_count=6, rngs=rngs)
        self.dilated = nnx.Conv(6, 4, (3, 3), kernel_dilation=2, rngs=rngs)
        self.first = nnx.Param(jax.random.normal(rngs.params(), (7, 4, 3, 3)))
        self.twice = nnx.Param(jax.random.normal(rngs.params(), (7, 7, 3, 3)))
        self.head = nnx.Linear(7, 3, rngs=rngs)

    def __call__(self, x):
        convolve = jax.lax.conv_general_dilated
        x = nnx.relu(self.dilated(nnx.relu(self.grouped(nnx.relu(self.plain(nnx.relu(self.stem(x))))))))
        x = x.transpose(0, 3, 1, 2)
        x = nnx.relu(convolve(x, self.first[...], (1, 1), "SAME", dimension_numbers=CHANNELS_FIRST))
        for _ in range(2):
            x = nnx.relu(convolve(x, self.twice[...], (1, 1), "SAME", dimension_numbers=CHANNELS_FIRST))
        return self.head(x.mean((2, 3)))


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setitem(
        factories._FACTORIES, "mine:network", lambda rngs, *, input_shape, classes: Convolutions()
    )
    made = ModuleArchitecture("mine:network", (4, 4, 3), 3).build()
    disturbed(made.module)
    return made


def test_plain_convolutions_alone_are_lowered(network):
    """A kernel with two uses keeps its form, and so do kernels of groups, with gaps and with uneven padding."""
    lowered = {stage.name: len(stage.lowered) for stage in network.stages if stage.lowered}
    assert lowered == {"plain": 1, "first": 1}


def test_a_lowered_stage_computes_what_the_program_does(network, monkeypatch):
    computed = []
    convolve = winograd.Winograd.convolve

    def counted(self, inputs, prepared):
        computed.append(inputs.shape)
        return convolve(self, inputs, prepared)

    monkeypatch.setattr(winograd.Winograd, "convolve", counted)
    images = jnp.asarray(np.random.default_rng(0).standard_normal((9, 4, 4, 3)), jnp.float32)
    keeps = random_keeps(network.filter_groups, np.random.default_rng(1), 0.6)
    expected = run_chain(network.stages, images, keeps)
    assert computed == []
    carry = images
    for stage in network.stages:
        carry = stage.evaluate(stage.prepare(stage_arrays(stage), jnp.float32), carry, keeps)
    assert_close(carry, expected)
    # All images at once, and each convolution once.
    assert {shape[1:] for shape in computed} == {(2, 2, 5), (2, 2, 4)}
    assert max(shape[0] for shape in computed) == 9


def test_on_small_maps_a_program_is_as_fast_as_ours_and_has_the_gradient_of_its_module(network, monkeypatch):
    computed = []
    positions = convolution.convolve_positions

    def counted(inputs, kernel):
        computed.append(inputs.shape)
        return positions(inputs, kernel)

    monkeypatch.setattr(convolution, "convolve_positions", counted)
    images = jnp.asarray(np.random.default_rng(0).standard_normal((9, 4, 4, 3)), jnp.float32)
    network.module.eval()

    def of_chain(images):
        return jnp.square(run_chain(network.stages, images, {})).sum()

    def of_module(images):
        return jnp.square(network.module(images)).sum()

    gradient = jax.grad(of_chain)(images)
    # plain, first, and twice, which has two uses.
    assert len(computed) == 4
    assert_close(gradient, jax.grad(of_module)(images))
