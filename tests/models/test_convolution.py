import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.convolution import convolve, convolve_patches, max_pool, prefers_patches


def xla(inputs, kernel):
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(inputs, kernel, (1, 1), "SAME", dimension_numbers=numbers)


@settings(max_examples=10)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(1, 5)),
    st.sampled_from([1, 3, 5]),
    st.sampled_from([1, 3]),
    st.integers(1, 6),
)
def test_patches_equal_xla_with_gradients(shape, rows, columns, filters):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.standard_normal(shape), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((rows, columns, shape[3], filters)), jnp.float32)
    np.testing.assert_allclose(convolve_patches(inputs, kernel), xla(inputs, kernel), atol=1e-4)

    def loss(lowering):
        return jax.grad(lambda x, k: jnp.sum(jnp.sin(lowering(x, k))), argnums=(0, 1))(inputs, kernel)

    for ours, theirs in zip(loss(convolve_patches), loss(xla), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize(
    ("inputs", "kernel", "strides", "padding", "backend", "expected"),
    [
        ((8, 2, 2, 512), (3, 3, 512, 512), (1, 1), "SAME", "cpu", True),
        ((8, 32, 32, 3), (3, 3, 3, 64), (1, 1), "SAME", "cpu", True),
        ((8, 4, 4, 512), (3, 3, 512, 512), (1, 1), "SAME", "cpu", False),
        ((8, 2, 2, 512), (3, 3, 512, 512), (1, 1), "SAME", "gpu", False),
        ((8, 2, 2, 512), (3, 3, 512, 512), (2, 2), "SAME", "cpu", False),
        ((8, 2, 2, 512), (3, 3, 512, 512), (1, 1), "VALID", "cpu", False),
        ((8, 2, 2, 512), (2, 2, 512, 512), (1, 1), "SAME", "cpu", False),
        ((8, 2, 2, 512), (3, 3, 1, 512), (1, 1), "SAME", "cpu", False),
    ],
)
def test_which_lowering(inputs, kernel, strides, padding, backend, expected):
    assert prefers_patches(inputs, kernel, strides, padding, backend) is expected


def test_convolve_takes_flax_arguments_on_both_lowerings():
    rng = np.random.default_rng(1)
    for size in (2, 6):
        inputs = jnp.asarray(rng.standard_normal((2, size, size, 8)), jnp.float32)
        kernel = jnp.asarray(rng.standard_normal((3, 3, 8, 5)), jnp.float32)
        ours = convolve(inputs, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        np.testing.assert_allclose(ours, xla(inputs, kernel), atol=1e-4)


def test_max_pool_drops_an_odd_edge():
    inputs = jnp.arange(15.0).reshape(1, 3, 5, 1)
    np.testing.assert_array_equal(max_pool(inputs)[0, :, :, 0], [[6.0, 8.0]])
