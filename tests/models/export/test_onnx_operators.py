"""What the ONNX writer says of operations beyond those of the networks here, against JAX itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from models.errors import ExportError

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from models.export.onnx_program import write  # noqa: E402

RNG = np.random.default_rng(0)
KERNEL = RNG.standard_normal((3, 3, 4, 6)).astype(np.float32)
DEPTHWISE = RNG.standard_normal((3, 3, 1, 4)).astype(np.float32)
MATRIX = RNG.standard_normal((4, 5)).astype(np.float32)
CHANNELS = RNG.standard_normal(4).astype(np.float32)
NUMBERS = ("NHWC", "HWIO", "NHWC")


def convolve(images, kernel=KERNEL, stride=1, padding="SAME", **options):
    return jax.lax.conv_general_dilated(
        images, kernel, (stride, stride), padding, dimension_numbers=NUMBERS, **options
    )


def window(images, initial, function, size, stride, padding="VALID"):
    sizes, strides = (1, size, size, 1), (1, stride, stride, 1)
    return jax.lax.reduce_window(images, np.float32(initial), function, sizes, strides, padding)


def converted(function, shape=(7, 6, 4)):
    """Logits of ONNX Runtime by a program that takes any batch."""
    (batch,) = export.symbolic_shape("batch")
    program = jax.jit(function).trace(jax.ShapeDtypeStruct((batch, *shape), np.float32)).jaxpr
    session = onnxruntime.InferenceSession(write(program, "in", "out", {}))
    return lambda images: session.run(["out"], {"in": images})[0]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: convolve(x, stride=2, padding=((1, 1), (1, 1))),
        lambda x: convolve(x, padding="VALID", rhs_dilation=(2, 2)),
        lambda x: convolve(x, kernel=DEPTHWISE, feature_group_count=4),
        lambda x: jax.nn.relu(convolve(x) + np.arange(6, dtype=np.float32)),
        # What a convolution gives is read twice: the sum cannot become its bias.
        lambda x: (convolve(x) + 1.0) * convolve(x),
        lambda x: (lambda y: (y + np.arange(6, dtype=np.float32)) * y)(convolve(x)),
        lambda x: window(x, -np.inf, jax.lax.max, 3, 2, "SAME"),
        lambda x: window(x, 0, jax.lax.add, 2, 2) / 4,
        lambda x: jnp.tanh(x) * CHANNELS - 2 * x,
        lambda x: jax.nn.sigmoid(x.mean((1, 2)) @ MATRIX),
        lambda x: x.max((1, 2)),
        # As a network that is computed image by image says its dense layer.
        lambda x: jnp.einsum("bik,kn->bin", x.mean((1, 2))[:, None], MATRIX).sum(1),
        lambda x: x @ MATRIX + 1,
        lambda x: jnp.einsum("bhwc,nc->bhwn", x, MATRIX.T),
        lambda x: jnp.einsum("bhwc,hn->bwcn", x, np.ones((7, 2), np.float32)),
        lambda x: jnp.concatenate([x, convolve(x), 2 * x], axis=-1),
        lambda x: x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1),
        lambda x: convolve(x).transpose(0, 3, 1, 2).sum(3),
        lambda x: jnp.minimum(jax.nn.relu(x), 0.5),
        lambda x: 1 - x,
        lambda x: x * jax.nn.sigmoid(x.mean((1, 2)))[:, None, None, :],
    ],
)
def test_onnx_runtime_computes_what_jax_computes(function):
    run = converted(function)
    for count in (1, 3):
        images = RNG.standard_normal((count, 7, 6, 4)).astype(np.float32)
        np.testing.assert_allclose(run(images), function(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda x: jnp.sort(x, axis=-1), "'sort'"),
        (lambda x: jnp.einsum("bhwc,bhwc->bc", x, x), "a product other than with one matrix"),
        (lambda x: x.astype(jnp.bfloat16).astype(jnp.float32), "bfloat16"),
    ],
)
def test_what_cannot_be_said_is_named(function, sentence):
    with pytest.raises(ExportError, match=rf"`format` onnx cannot say .*{sentence}"):
        converted(function)
