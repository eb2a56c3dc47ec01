import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.lowering.bilinear import FOUR, WHOLE_ONE, WHOLE_TWO, for_axis
from models.lowering.choice import choose
from models.lowering.contract import in_steps
from models.lowering.direct import Direct
from models.lowering.winograd import Winograd
from models.windows import Window


def defined(inputs, kernel):
    """The convolution by its definition, in float64."""
    images, height, width, _ = inputs.shape
    padded = np.pad(inputs.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    outputs = np.zeros((images, height, width, kernel.shape[3]))
    for row in range(3):
        for column in range(3):
            outputs += padded[:, row : row + height, column : column + width] @ kernel[row, column]
    return outputs


@pytest.mark.parametrize("algorithm", [FOUR, WHOLE_TWO, WHOLE_ONE])
@given(st.integers(0, 2**32 - 1))
def test_bilinear_algorithms_filter_an_axis(algorithm, seed):
    rng = np.random.default_rng(seed)
    inputs = rng.integers(-9, 10, algorithm.inputs.shape[1]).astype(float)
    taps = rng.integers(-9, 10, 3).astype(float)
    transformed = algorithm.butterfly @ algorithm.inputs @ inputs
    outputs = algorithm.outputs @ algorithm.butterfly.T @ ((algorithm.kernel @ taps) * transformed)
    seen = inputs if algorithm.tiled else np.pad(inputs, 1)
    np.testing.assert_allclose(outputs, np.correlate(seen, taps, "valid"), atol=1e-9)


@pytest.mark.parametrize(
    ("shape", "filters"),
    [
        ((1, 1, 1, 1), 1),
        ((3, 2, 1, 20), 4),
        ((2, 2, 2, 7), 9),
        ((1, 3, 4, 5), 3),
        ((2, 9, 8, 12), 6),
        ((3, 1, 5, 2), 2),
    ],
)
def test_lowerings_equal_the_definition(shape, filters):
    rng = np.random.default_rng(sum(shape) + filters)
    inputs = rng.standard_normal(shape).astype(np.float32)
    kernel = rng.standard_normal((3, 3, shape[3], filters)).astype(np.float32)
    expected = defined(inputs, kernel)
    for lowering in (Direct(), Winograd(*shape[1:3])):
        found = jax.jit(lambda x, k, by=lowering: by.convolve(x, by.prepare(k)))(inputs, kernel)
        np.testing.assert_allclose(found, expected, atol=2e-5 * max(1, np.abs(expected).max()))


def test_winograd_rounds_little_more_than_the_definition_for_wide_layers():
    rng = np.random.default_rng(0)
    inputs = np.maximum(rng.standard_normal((4, 4, 4, 512)), 0).astype(np.float32)
    kernel = (0.05 * rng.standard_normal((3, 3, 512, 64))).astype(np.float32)
    expected = defined(inputs, kernel)
    lowering = Winograd(4, 4)
    found = lowering.convolve(jnp.asarray(inputs), lowering.prepare(jnp.asarray(kernel)))
    assert np.abs(found - expected).max() < 4e-6 * np.abs(expected).max()


def test_small_axes_multiply_nothing_with_padding():
    assert [for_axis(size).products for size in (1, 2, 3, 4, 32)] == [1, 3, 6, 6, 6]
    assert [for_axis(size).tiles(size) for size in (1, 2, 3, 4, 5, 32)] == [1, 1, 1, 1, 2, 8]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (((32, 32), Window((3, 3)), 3, "cpu", jnp.float32), Direct()),
        (((2, 2), Window((3, 3)), 5, "cpu", jnp.float32), Winograd(2, 2)),
        (((32, 32), Window((3, 3)), 23, "cpu", jnp.float32), Direct()),
        (((32, 32), Window((3, 3)), 24, "cpu", jnp.float32), Winograd(32, 32)),
        (((8, 8), Window((3, 3)), 256, "cpu", jnp.float32), Winograd(8, 8)),
        (((8, 8), Window((3, 3)), 256, "cpu", jnp.bfloat16), Direct()),
        (((8, 8), Window((5, 5)), 256, "cpu", jnp.float32), Direct()),
        (((8, 8), Window((2, 2)), 3, "cpu", jnp.float32), Direct()),
        (((8, 8), Window((3, 3), 2), 256, "cpu", jnp.float32), Direct(2, ((1, 1), (1, 1)))),
        (((2, 2), Window((3, 3), padded=False), 256, "cpu", jnp.float32), Direct(1, "VALID")),
        (((8, 8), Window((1, 1), 2), 256, "cpu", jnp.float32), Direct(2, ((0, 0), (0, 0)))),
        (((8, 8), Window((3, 3)), 256, "gpu", jnp.float32), Direct()),
    ],
)
def test_the_choice(arguments, expected):
    assert choose(*arguments) == expected


@given(st.integers(1, 40), st.integers(1, 9))
def test_steps_change_no_row(batch, images):
    carry = jnp.arange(batch * 3.0).reshape(batch, 3)
    sizes = []

    def function(part):
        sizes.append(part.shape[0])
        return part[:, :2] * 2

    np.testing.assert_array_equal(in_steps(function, carry, images), carry[:, :2] * 2)
    assert max(sizes) <= images
    assert in_steps(function, carry, None).shape == (batch, 2)


def test_images_per_step_are_a_power_of_two_and_fewer_for_wider_layers():
    for size in (1, 2, 4, 8, 16, 32, 224):
        steps = [Winograd(size, size).images_per_step(width, width) for width in (16, 64, 256, 1024)]
        assert all(step & (step - 1) == 0 and step > 0 for step in steps)
        assert steps == sorted(steps, reverse=True)
    assert jax.default_backend() == "cpu"
