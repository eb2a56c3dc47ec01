from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.lowering.convolution import choose_lowering, convolve, max_pool
from models.lowering.matrix_products import convolve_patches, convolve_positions


def xla(inputs, kernel, padding="SAME"):
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(inputs, kernel, (1, 1), padding, dimension_numbers=numbers)


@pytest.mark.parametrize(
    ("shape", "rows", "columns", "filters"),
    [
        ((1, 1, 1, 1), 1, 1, 1),
        ((2, 1, 6, 3), 3, 3, 4),
        ((3, 6, 5, 5), 5, 3, 6),
        ((1, 2, 2, 4), 5, 1, 2),
        ((2, 4, 3, 1), 1, 3, 5),
    ],
)
def test_our_lowerings_equal_xla_with_gradients(shape, rows, columns, filters):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.standard_normal(shape), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((rows, columns, shape[3], filters)), jnp.float32)

    @partial(jax.jit, static_argnums=0)
    def with_gradients(lowering, inputs, kernel):
        def loss(inputs, kernel):
            outputs = lowering(inputs, kernel)
            return jnp.sum(jnp.sin(outputs)), outputs

        gradients, outputs = jax.grad(loss, argnums=(0, 1), has_aux=True)(inputs, kernel)
        return outputs, *gradients

    expected = with_gradients(xla, inputs, kernel)
    for lowering in (convolve_patches, convolve_positions):
        for ours, theirs in zip(with_gradients(lowering, inputs, kernel), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "columns", "channels", "more"), [(1, 1, 1, 0), (4, 2, 3, 0), (2, 4, 1, 3), (3, 3, 2, 1)]
)
def test_patches_without_padding_equal_xla(rows, columns, channels, more):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.standard_normal((2, rows + more, columns + 1, channels)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((rows, columns, channels, 4)), jnp.float32)
    ours = convolve(inputs, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(ours, xla(inputs, kernel, "VALID"), atol=1e-4)


@pytest.mark.parametrize(
    ("inputs", "kernel", "strides", "padding", "backend", "expected"),
    [
        ((8, 2, 2, 512), (3, 3, 512, 512), (1, 1), "SAME", "cpu", "positions"),
        ((8, 32, 32, 3), (3, 3, 3, 64), (1, 1), "SAME", "cpu", "patches"),
        ((8, 4, 4, 512), (3, 3, 512, 512), (1, 1), "SAME", "cpu", "xla"),
        ((8, 2, 2, 512), (3, 3, 512, 512), (1, 1), "SAME", "gpu", "xla"),
        ((8, 2, 2, 512), (3, 3, 512, 512), (2, 2), "SAME", "cpu", "xla"),
        ((8, 2, 2, 512), (3, 3, 512, 512), (1, 1), "VALID", "cpu", "xla"),
        ((8, 32, 32, 1), (5, 5, 1, 6), (1, 1), "VALID", "cpu", "patches"),
        ((8, 14, 14, 6), (4, 4, 6, 16), (1, 1), "VALID", "cpu", "patches"),
        ((8, 2, 2, 512), (2, 2, 512, 512), (1, 1), "SAME", "cpu", "xla"),
        ((8, 2, 2, 512), (3, 3, 1, 512), (1, 1), "SAME", "cpu", "xla"),
    ],
)
def test_which_lowering(inputs, kernel, strides, padding, backend, expected):
    assert choose_lowering(inputs, kernel, strides, padding, backend) == expected


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
