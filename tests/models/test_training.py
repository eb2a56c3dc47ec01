import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from models.errors import TrainingError
from models.normalisation import Normalisation
from models.optimizer import learning_rates
from models.state import arrays_of, kernels_of, set_arrays
from models.training import train
from models.training_settings import TrainingSettings
from models.vgg import VGGArchitecture

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 256).astype(np.int32)
# Class 1 is bright on the left, class 0 on the right.
IMAGES = RNG.integers(0, 120, (256, 8, 8, 1), dtype=np.uint8)
IMAGES[LABELS == 1, :, :4] += 100
IMAGES[LABELS == 0, :, 4:] += 100
ARCHITECTURE = VGGArchitecture("any", ((4, 4), (8,)), (8,), 2, (8, 8, 1))


@pytest.mark.parametrize(
    ("optimizer", "rate", "batch_norm"), [("sgd", 0.05, False), ("sgd", 0.05, True), ("adamw", 0.003, False)]
)
def test_a_network_learns(optimizer, rate, batch_norm):
    network = VGGArchitecture("any", ((4, 4), (8,)), (8,), 2, (8, 8, 1), batch_norm, 0.0).build()
    reports = []
    settings = TrainingSettings(
        epochs=10, batch_size=32, optimizer=optimizer, learning_rate=rate, augmentation="none"
    )
    train(network, Normalisation.of_images(IMAGES), IMAGES, LABELS, settings, reports.append)
    assert reports[-1].epoch == 10
    assert reports[-1].accuracy > 0.95
    assert reports[-1].loss < reports[0].loss
    inputs = Normalisation.of_images(IMAGES)(IMAGES)
    assert (np.argmax(network(inputs), axis=-1) == LABELS).mean() > 0.95


def test_the_seed_decides():
    def weights(seed):
        network = ARCHITECTURE.build(1)
        settings = TrainingSettings(epochs=1, batch_size=64, seed=seed)
        train(network, Normalisation.of_images(IMAGES), IMAGES, LABELS, settings)
        return arrays_of(network)["conv1_1.convolution.kernel"]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_a_loss_that_is_not_finite_is_named():
    network = ARCHITECTURE.build()
    network.stages[0].convolution.bias[...] = np.full(4, np.nan, np.float32)
    with pytest.raises(TrainingError, match="--learning-rate"):
        train(network, Normalisation.of_images(IMAGES), IMAGES, LABELS, TrainingSettings(epochs=1))


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"clip_norm": -1.0},
        {"clip_norm": float("inf")},
        {"weight_decay": float("nan")},
        {"schedule": "linear"},
        {"optimizer": "adam"},
        {"augmentation": "rotate"},
        {"momentum": 1.0},
        {"momentum": -0.1},
    ],
)
def test_impossible_settings_are_refused_by_name(values):
    [option] = values
    with pytest.raises(TrainingError, match="--" + option.replace("_", "-")):
        TrainingSettings(**values)


def step_of(**values):
    """Weights before and after one step over all images, without augmentation or dropout."""
    network = VGGArchitecture("any", ((4,),), (), 2, (8, 8, 1), dropout=0.0).build(1)
    before = arrays_of(network)
    chosen = {"warmup_epochs": 0, "weight_decay": 0.0, "augmentation": "none", **values}
    settings = TrainingSettings(batch_size=256, **chosen)
    train(network, Normalisation.of_images(IMAGES), IMAGES, LABELS, settings)
    return before, arrays_of(network)


def test_plain_sgd_takes_the_gradient_times_the_rate():
    def gradients(arrays):
        network = VGGArchitecture("any", ((4,),), (), 2, (8, 8, 1), dropout=0.0).build(1)
        set_arrays(network, arrays)
        inputs = Normalisation.of_images(IMAGES)(jnp.asarray(IMAGES))

        def loss(network):
            return optax.softmax_cross_entropy_with_integer_labels(network(inputs), LABELS).mean()

        return kernels_of(nnx.merge(nnx.graphdef(network), nnx.grad(loss)(network)))

    plain = {"momentum": 0.0, "clip_norm": 0.0, "schedule": "constant", "learning_rate": 0.3}
    before, after = step_of(epochs=1, **plain)
    for name, gradient in gradients(before).items():
        np.testing.assert_allclose(after[name], before[name] - 0.3 * gradient, rtol=1e-4, atol=1e-6)
    # A constant rate: the second step is as long as its gradient says.
    _, last = step_of(epochs=2, **plain)
    for name, gradient in gradients(after).items():
        np.testing.assert_allclose(last[name], after[name] - 0.3 * gradient, rtol=1e-3, atol=1e-5)


def test_clipping_bounds_the_step_and_can_be_off():
    def length(**values):
        before, after = step_of(epochs=1, momentum=0.0, learning_rate=1.0, schedule="constant", **values)
        return np.sqrt(sum(np.sum((after[name] - before[name]) ** 2) for name in before))

    assert length(clip_norm=1e-3) == pytest.approx(1e-3, rel=1e-3)
    assert length(clip_norm=0.0) == pytest.approx(length(clip_norm=1e6), rel=1e-6)
    assert length(clip_norm=0.0) > 2e-3


def test_classical_momentum_adds_the_last_step():
    def kernel(**values):
        chosen = {"clip_norm": 0.0, "schedule": "constant", "learning_rate": 0.1, **values}
        return step_of(**chosen)[1]["logits.dense.kernel"].astype(np.float64)

    start = step_of(epochs=1)[0]["logits.dense.kernel"]
    first = kernel(epochs=1, momentum=0.9, nesterov=False)
    # The first step has no momentum yet; Nesterov's looks ahead by it at once.
    np.testing.assert_array_equal(first, kernel(epochs=1, momentum=0.0))
    np.testing.assert_allclose(kernel(epochs=1, momentum=0.9) - start, 1.9 * (first - start), atol=1e-6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"schedule": "constant", "warmup_epochs": 1}, [0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4]),
        ({"schedule": "constant", "warmup_epochs": 0}, [0.4] * 8),
        ({"warmup_epochs": 1}, [0, 0.1, 0.2, 0.3, *(0.2 + 0.2 * np.cos(np.pi * np.arange(4) / 4))]),
        ({"warmup_epochs": 0}, 0.2 + 0.2 * np.cos(np.pi * np.arange(8) / 8)),
    ],
)
def test_learning_rates(values, expected):
    rates = learning_rates(TrainingSettings(epochs=2, learning_rate=0.4, **values), 4)
    np.testing.assert_allclose([float(rates(step)) for step in range(8)], expected, atol=1e-6)


def test_statistics_of_images():
    images = np.zeros((2, 2, 2, 2), np.uint8)
    images[..., 0] = [[[0, 255], [0, 255]], [[255, 0], [255, 0]]]
    normalisation = Normalisation.of_images(images)
    np.testing.assert_allclose(normalisation.mean, [0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(normalisation.std, [0.5, 1 / 255], atol=1e-6)
    np.testing.assert_allclose(np.unique(normalisation(images)[..., 0]), [-1.0, 1.0], atol=1e-5)
