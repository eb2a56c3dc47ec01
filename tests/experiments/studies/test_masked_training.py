"""Training under masks is training of the pruned network."""

from functools import cache

import jax
import numpy as np
import pytest
from flax import nnx

from experiments.studies.masked_training import MaskedTrainer
from models.arrays import arrays_of
from models.errors import TrainingError
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from models.pruning import prune
from models.training.loop import train
from models.training.settings import TrainingSettings
from tests.models.support.small_networks import filled, logits

TINY = VGGArchitecture("tiny", ((3,),), (7,), 3, (8, 8, 1), dropout=0.0)
NORMALISATION = Normalisation((0.4,), (0.3,))
SETTINGS = TrainingSettings(
    epochs=2, batch_size=8, learning_rate=0.05, warmup_epochs=0.5, augmentation="crop-flip", seed=5
)
KEEPS = {"fc1": np.array([True, False, True, True, False, True, True])}


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(1)
    return generator.integers(0, 256, (30, 8, 8, 1), dtype=np.uint8), generator.integers(0, 3, 30, np.int32)


@pytest.fixture(scope="module")
def trainer(data):
    return MaskedTrainer(filled(TINY), NORMALISATION, *data, SETTINGS)


@pytest.fixture(scope="module")
def trained_alone(data):
    """The pruned network, trained by the ordinary loop, and the reports of its epochs; by the mask's bytes."""

    @cache
    def trained(mask):
        pruned, reports = prune(filled(TINY), {"fc1": np.frombuffer(mask, bool)}), []
        train(pruned, NORMALISATION, *data, SETTINGS, reports.append)
        return pruned, reports

    return trained


@pytest.mark.parametrize(
    "keeps", [KEEPS, *(pytest.param(each, marks=pytest.mark.slow) for each in ({"fc1": np.ones(7, bool)}, {}))]
)
def test_equals_training_of_the_pruned_network(trainer, trained_alone, keeps):
    network = filled(TINY)
    epochs = list(trainer.epochs(network, keeps, SETTINGS.seed))
    pruned, reports = trained_alone(keeps.get("fc1", np.ones(7, bool)).tobytes())
    for name, array in arrays_of(prune(network, keeps)).items():
        np.testing.assert_allclose(array, arrays_of(pruned)[name], rtol=1e-4, atol=1e-5, err_msg=name)
    for epoch, report in zip(epochs, reports, strict=True):
        assert (epoch.number, epoch.accuracy) == (report.epoch, pytest.approx(report.accuracy))
        assert epoch.loss == pytest.approx(report.loss, rel=1e-4)


def test_accuracy_is_that_of_the_pruned_network(trainer, data):
    network = filled(TINY)
    list(trainer.epochs(network, KEEPS, SETTINGS.seed))
    answers = np.argmax(logits(prune(network, KEEPS), NORMALISATION(data[0])), axis=-1)
    expected = np.mean(answers == data[1])
    assert trainer.accuracy(network, KEEPS, *data) == pytest.approx(expected)


def test_the_network_has_the_weights_of_each_epoch(trainer):
    network = filled(TINY)
    seen = [jax.tree.leaves(nnx.state(network))[0]]
    for _ in trainer.epochs(network, KEEPS, 0):
        seen.append(jax.tree.leaves(nnx.state(network))[0])
    assert len(seen) == 3
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[1], seen[2])


def test_a_loss_that_is_not_finite_is_said(trainer):
    network = filled(TINY)
    network.stages[-1].dense.bias[...] = np.full(3, np.inf, np.float32)
    with pytest.raises(TrainingError, match="lower `learning_rate`"):
        list(trainer.epochs(network, KEEPS, 5))
