import numpy as np
import pytest

from models.arrays import arrays_of
from models.errors import TrainingError
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from models.training.loop import train
from models.training.settings import TrainingSettings

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 256).astype(np.int32)
# Class 1 is bright on the left, class 0 on the right.
IMAGES = RNG.integers(0, 120, (256, 8, 8, 1), dtype=np.uint8)
IMAGES[LABELS == 1, :, :4] += 100
IMAGES[LABELS == 0, :, 4:] += 100
ARCHITECTURE = VGGArchitecture("any", ((4, 4), (8,)), (8,), 2, (8, 8, 1))


@pytest.mark.parametrize(
    ("optimizer", "rate", "batch_norm"),
    [
        pytest.param("sgd", 0.05, False, marks=pytest.mark.slow),
        ("sgd", 0.05, True),
        ("adamw", 0.003, False),
    ],
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
    with pytest.raises(TrainingError, match="`learning_rate`"):
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
    with pytest.raises(TrainingError, match=f"`{option}`"):
        TrainingSettings(**values)


def test_statistics_of_images():
    images = np.zeros((2, 2, 2, 2), np.uint8)
    images[..., 0] = [[[0, 255], [0, 255]], [[255, 0], [255, 0]]]
    normalisation = Normalisation.of_images(images)
    np.testing.assert_allclose(normalisation.mean, [0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(normalisation.std, [0.5, 1 / 255], atol=1e-6)
    np.testing.assert_allclose(np.unique(normalisation(images)[..., 0]), [-1.0, 1.0], atol=1e-5)
