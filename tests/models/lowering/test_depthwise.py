"""Depthwise convolutions as sums of shifted maps, against XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.lowering.depthwise import MOST_TAPS, convolve_depthwise, is_depthwise

steps = st.tuples(st.integers(1, 3), st.integers(1, 3))
borders = st.tuples(st.integers(-1, 3), st.integers(-1, 3))


def by_xla(inputs, kernel, strides, padding, dilations):
    return jax.lax.conv_general_dilated(
        inputs,
        kernel,
        strides,
        padding,
        rhs_dilation=dilations,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=inputs.shape[3],
    )


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(2, 3),
    st.integers(1, 2),
    steps,
    st.tuples(borders, borders),
    steps,
)
def test_the_result_is_that_of_xla(size, channels, each, strides, padding, dilations):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.standard_normal((2, 9, 10, channels)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((*size, 1, channels * each)), jnp.float32)
    assert is_depthwise(channels, kernel.shape, channels)
    expected = by_xla(inputs, kernel, strides, padding, dilations)
    found = convolve_depthwise(inputs, kernel, strides, padding, dilations)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_xla():
    rng = np.random.default_rng(1)
    inputs = jnp.asarray(rng.standard_normal((2, 7, 6, 3)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, 1, 6)), jnp.float32)
    given = (2, 1), ((1, 1), (2, 0)), (1, 2)

    def gradients(convolve):
        return jax.grad(lambda *arrays: jnp.square(convolve(*arrays, *given)).sum(), (0, 1))(inputs, kernel)

    for found, expected in zip(gradients(convolve_depthwise), gradients(by_xla), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("channels", "kernel", "groups"),
    [(4, (3, 3, 2, 4), 2), (1, (3, 3, 1, 5), 1), (4, (3, 3, 4, 4), 1), (4, (1, MOST_TAPS + 1, 1, 4), 4)],
)
def test_other_convolutions_are_none(channels, kernel, groups):
    assert not is_depthwise(channels, kernel, groups)
