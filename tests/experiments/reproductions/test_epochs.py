"""A training in epochs that is killed and continued ends like one that is not."""

import numpy as np
import pytest

from experiments.datasets import ImageSet
from experiments.progress import Silent
from experiments.reproductions.epochs import train_by_epochs
from experiments.steps import Steps
from models import store
from models.state import arrays_of
from models.store import Model
from models.training_settings import TrainingSettings

SETTINGS = TrainingSettings(epochs=3, batch_size=16, learning_rate=0.02, warmup_epochs=0.5, augmentation="none")


class Killed(Silent):
    """Ends the process, as it were, in the epoch given."""

    def __init__(self, epoch):
        self.epoch = epoch

    def training(self, progress):
        if progress.epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture
def training(tiny_model, tiny_images):
    def run(folder, reporter, reads):
        def images():
            reads.append(1)
            split = ImageSet(*tiny_images, tiny_model.classes, "tiny", "train")
            return split, split

        def start():
            network = tiny_model.network.architecture.build(1)
            return Model(network, tiny_model.normalisation, tiny_model.classes)

        return train_by_epochs(Steps(folder, {}), "base", start, images, SETTINGS, reporter)

    return run


def test_interrupted_equals_uninterrupted(tmp_path, training):
    path, rows = training(tmp_path / "whole", Silent(), [])
    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "killed", Killed(2), [])
    again, same_rows = training(tmp_path / "killed", Silent(), [])
    assert same_rows == rows
    whole, continued = (arrays_of(store.load(place).network) for place in (path, again))
    for name, array in whole.items():
        np.testing.assert_array_equal(array, continued[name], err_msg=name)


def test_rates_fall_by_cosine_and_only_the_last_model_stays(tmp_path, training):
    path, rows = training(tmp_path / "out", Silent(), [])
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.02, 0.015, 0.005])
    assert [folder.name for folder in path.parent.iterdir()] == ["3"]
    reads = []
    assert training(tmp_path / "out", Killed(1), reads) == (path, rows)
    assert not reads
