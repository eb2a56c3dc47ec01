"""The protocol on scikit-learn's digits: the same code, a small network and a small budget."""

from pathlib import Path

from experiments.data.options import DataOptions
from experiments.progress import Reporter
from experiments.studies.quality.protocol import QualityOptions
from experiments.training.network_options import NetworkOptions
from experiments.training.train import train_model
from models.training.settings import TrainingSettings

TRAINING = TrainingSettings(epochs=4, batch_size=64, augmentation="none")


def quick_model(model: Path, reporter: Reporter) -> Path:
    """A LeNet-5 trained into ``model``, where it is not there yet."""
    if not model.exists():
        train_model(model, NetworkOptions("lenet5"), DataOptions("digits"), TRAINING, reporter=reporter)
    return model


def quick_options(model: Path, reporter: Reporter) -> QualityOptions:
    """That network, and few cells."""
    data = DataOptions("digits", images=200)
    return QualityOptions(
        str(quick_model(model, reporter)),
        data,
        evaluations=80,
        seeds=1,
        methods="paper,quality,ranking,hill-climbing",
    )
