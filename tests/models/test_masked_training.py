"""Training under masks is training of the pruned network."""

import jax
import numpy as np
import pytest
from flax import nnx

from models.errors import TrainingError
from models.lenet import LeNetArchitecture
from models.masked_training import MaskedTrainer
from models.normalisation import Normalisation
from models.pruning import prune
from models.state import arrays_of
from models.training import train
from models.training_settings import TrainingSettings

TINY = LeNetArchitecture("tiny", (3, 4), (9, 7), 3, (16, 16, 1))
NORMALISATION = Normalisation((0.4,), (0.3,))
SETTINGS = TrainingSettings(
    epochs=2, batch_size=8, learning_rate=0.05, warmup_epochs=0.5, augmentation="flip-rotate-jitter", seed=5
)
KEEPS = {"fc2": np.array([True, False, True, True, False, True, True])}


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(1)
    return generator.integers(0, 256, (30, 16, 16, 1), dtype=np.uint8), generator.integers(0, 3, 30, np.int32)


def trained(keeps, data, settings=SETTINGS):
    network = TINY.build(3)
    trainer = MaskedTrainer(network, NORMALISATION, *data, settings)
    epochs = list(trainer.epochs(network, keeps, settings.seed))
    return network, epochs, trainer


@pytest.mark.parametrize("keeps", [KEEPS, {"fc2": np.ones(7, bool)}, {}])
def test_equals_training_of_the_pruned_network(data, keeps):
    network, epochs, _ = trained(keeps, data)
    pruned, reports = prune(TINY.build(3), keeps), []
    train(pruned, NORMALISATION, *data, SETTINGS, reports.append)
    for name, array in arrays_of(prune(network, keeps)).items():
        np.testing.assert_allclose(array, arrays_of(pruned)[name], rtol=1e-4, atol=1e-5, err_msg=name)
    for epoch, report in zip(epochs, reports, strict=True):
        assert (epoch.number, epoch.accuracy) == (report.epoch, pytest.approx(report.accuracy))
        assert epoch.loss == pytest.approx(report.loss, rel=1e-4)


def test_accuracy_is_that_of_the_pruned_network(data):
    network, _, trainer = trained(KEEPS, data)
    logits = prune(network, KEEPS)(NORMALISATION(data[0]))
    expected = np.mean(np.argmax(logits, axis=-1) == data[1])
    assert trainer.accuracy(network, KEEPS, *data) == pytest.approx(expected)


def test_the_network_has_the_weights_of_each_epoch(data):
    network = TINY.build(3)
    trainer = MaskedTrainer(network, NORMALISATION, *data, SETTINGS)
    seen = [jax.tree.leaves(nnx.state(network))[0]]
    for _ in trainer.epochs(network, KEEPS, 0):
        seen.append(jax.tree.leaves(nnx.state(network))[0])
    assert len(seen) == 3
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[1], seen[2])


def test_a_loss_that_is_not_finite_is_said(data):
    settings = TrainingSettings(epochs=1, batch_size=8, learning_rate=1e38, warmup_epochs=0, clip_norm=0)
    with pytest.raises(TrainingError, match="lower --learning-rate"):
        trained(KEEPS, data, settings)
