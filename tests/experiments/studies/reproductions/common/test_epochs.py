"""A training in epochs that is killed and continued ends like one that is not."""

import numpy as np
import pytest

from experiments.baselines.steps import Steps
from experiments.data.datasets import ImageSet
from experiments.progress import Silent
from experiments.studies.reproductions.common import epochs
from experiments.studies.reproductions.common.epochs import train_by_epochs
from models import model_directory
from models.arrays import arrays_of
from models.model_directory import Model
from models.training.loop import Progress
from models.training.settings import TrainingSettings
from tests.models.support.small_networks import filled

SETTINGS = TrainingSettings(epochs=3, batch_size=16, learning_rate=0.02, warmup_epochs=0.5, augmentation="none")


class Killed(Silent):
    """Ends the process, as it were, in the epoch given."""

    def __init__(self, epoch):
        self.epoch = epoch

    def training(self, progress):
        if progress.epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture
def training(smallest_model, tiny_images):
    def run(folder, reporter, reads):
        def images():
            reads.append(1)
            split = ImageSet(*tiny_images, smallest_model.classes, "tiny", "train")
            return split, split

        def start():
            network = filled(smallest_model.network.architecture)
            return Model(network, smallest_model.normalisation, smallest_model.classes)

        return train_by_epochs(Steps(folder, {}), "base", start, images, SETTINGS, reporter)

    return run


@pytest.mark.slow
def test_interrupted_equals_uninterrupted(tmp_path, training):
    path, rows = training(tmp_path / "whole", Silent(), [])
    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "killed", Killed(2), [])
    again, same_rows = training(tmp_path / "killed", Silent(), [])
    assert same_rows == rows
    whole, continued = (arrays_of(model_directory.load(place).network) for place in (path, again))
    for name, array in whole.items():
        np.testing.assert_array_equal(array, continued[name], err_msg=name)


def test_rates_fall_by_cosine_and_only_the_last_model_stays(tmp_path, training, monkeypatch):
    chosen = []

    def train(network, normalisation, images, labels, settings, on_step):
        chosen.append(settings)
        on_step(Progress(1, 1, 3, 3, 0.5, 0.25, 100.0))

    monkeypatch.setattr(epochs, "train", train)
    path, rows = training(tmp_path / "out", Silent(), [])
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.02, 0.015, 0.005])
    assert [each.learning_rate for each in chosen] == [row["learning_rate"] for row in rows]
    assert [(each.epochs, each.schedule, each.seed) for each in chosen] == [(1, "constant", n) for n in (1, 2, 3)]
    assert [each.warmup_epochs for each in chosen] == [0.5, 0, 0]
    assert [row["train_accuracy"] for row in rows] == [0.25] * 3
    assert [folder.name for folder in path.parent.iterdir()] == ["3"]
    reads = []
    assert training(tmp_path / "out", Killed(1), reads) == (path, rows)
    assert not reads
