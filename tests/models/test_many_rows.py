"""Sums over more than 32,768 rows against NumPy in float64: jaxlib 0.10.2 gets some of them wrong by itself.

40,000 rows are no multiple of the tiles that such sums are computed in.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from models.arrays import arrays_of
from models.compensation.moments import gather_moments
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from models.training.augmentation import Augmentation, random_contrast, random_saturation
from models.training.loop import training_step
from models.training.optimizer import make_optimizer
from models.training.settings import TrainingSettings

ROWS = 40_000
NORMALISATION = Normalisation((0.4,), (0.3,))


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def assert_close(found, wanted):
    wanted = np.asarray(wanted, np.float64)
    np.testing.assert_allclose(np.asarray(found, np.float64), wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("shape", [(40, 32, 32), (50, 29, 28), (ROWS, 1, 1)])
def test_the_grey_of_many_pixels(shape):
    colours = pixels(*shape, 3).astype(np.float32)
    key = jax.random.key(0)
    factor = jax.random.uniform(key, (shape[0], 1, 1, 1), minval=0.8, maxval=1.2)
    factors = np.asarray(factor, np.float64)
    luma = np.sum(colours.astype(np.float64) * [0.299, 0.587, 0.114], axis=-1, keepdims=True)
    for augment, centre in ((random_saturation, luma), (random_contrast, luma.mean((1, 2, 3), keepdims=True))):
        found = jax.jit(augment)(key, jnp.asarray(colours))
        assert_close(found, np.clip(centre + (colours - centre) * factors, 0, 255))


def test_moments_over_many_positions():
    network = VGGArchitecture("one", ((3,), (2,)), (), 2, (40, 40, 1)).build(1)
    images = pixels(30, 40, 40, 1)
    found = gather_moments(network, NORMALISATION, images, ["conv2_1", "conv1_1"])
    assert found
    for name, moments in found.items():
        stage = next(stage for stage in network.stages if name.startswith(f"{stage.name}."))
        carry = NORMALISATION(jnp.asarray(images))
        for before in network.stages:
            if before is stage:
                break
            carry = before(carry, {})
        inputs = np.asarray(stage.observe(carry, {})[name.removeprefix(f"{stage.name}.")], np.float64)
        # Channels are fastest in the rows that a dense layer reads.
        rows = inputs.reshape(-1, len(moments) - 1)
        rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
        assert_close(moments, rows.T @ rows / len(rows))


def step(network, images, labels):
    """One training step with a learning rate of 0: batch statistics, loss, correct answers."""
    graph, parameters, statistics, others = nnx.split(network, nnx.Param, nnx.BatchStat, ...)
    optimizer = make_optimizer(TrainingSettings(), optax.constant_schedule(0.0))
    found = jax.jit(training_step, static_argnums=(0, 2, 3, 4))(
        graph,
        others,
        optimizer,
        NORMALISATION,
        Augmentation(),
        parameters,
        statistics,
        optimizer.init(parameters),
        jax.random.key(0),
        jnp.asarray(images),
        jnp.asarray(labels),
    )
    return nnx.to_pure_dict(found[1]), float(found[3]), int(found[4])


def test_loss_and_correct_answers_of_many_images():
    network = VGGArchitecture("flat", ((2,),), (), 3, (2, 2, 1), dropout=0.0).build(0)
    images = pixels(ROWS, 2, 2, 1)
    labels = np.random.default_rng(1).integers(0, 3, ROWS, dtype=np.int32)
    logits = np.concatenate(
        [np.asarray(network(NORMALISATION(jnp.asarray(part)))) for part in np.array_split(images, 10)]
    ).astype(np.float64)
    _, loss, correct = step(network, images, labels)
    shifted = logits - logits.max(axis=1, keepdims=True)
    wanted = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(ROWS), labels]
    assert loss == pytest.approx(wanted.mean(), rel=1e-4)
    assert abs(correct - np.count_nonzero(logits.argmax(axis=1) == labels)) <= 2


def test_batch_statistics_over_many_positions():
    network = VGGArchitecture("normed", ((3,),), (), 2, (28, 29, 1), batch_norm=True, dropout=0.0).build(0)
    images = pixels(50, 28, 29, 1)
    statistics, _, _ = step(network, images, np.zeros(50, np.int32))
    arrays = arrays_of(network)
    kernel = next(array for name, array in arrays.items() if name.startswith("conv1_1") and array.ndim == 4)
    bias = next(array for name, array in arrays.items() if name == "conv1_1.convolution.bias")
    padded = np.pad((images / 255.0 - 0.4) / 0.3, ((0, 0), (1, 1), (1, 1), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    outputs = np.einsum("nhwcij,ijcf->nhwf", seen, kernel.astype(np.float64)) + bias
    found = {path[-1]: value for path, value in nnx.traversals.flatten_mapping(statistics).items()}
    weight = 1 - next(stage for stage in network.stages if hasattr(stage, "norm")).norm.momentum
    assert_close(found["mean"], weight * outputs.mean((0, 1, 2)))
    assert_close(found["var"], (1 - weight) + weight * outputs.var((0, 1, 2)))
