"""From a data set to a trained model directory: the ``train`` command."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import OptionError
from experiments import datasets
from experiments.datasets import ImageSet
from experiments.environment import versions
from experiments.measuring import DataOptions, check_fit, measure
from experiments.progress import Reporter, Silent
from models import store
from models.dependency.architecture import ModuleArchitecture
from models.normalisation import Normalisation
from models.registry import NETWORKS
from models.store import Model
from models.training import TrainingSettings, train


@dataclass(frozen=True)
class NetworkOptions:
    """Which network: the ``--model``, ``--width-multiplier``, ``--batch-norm`` and ``--model-class`` options.

    ``model_class`` has been given to :func:`models.dependency.factories.load`, and takes the others' place.

    Raises:
        OptionError: an unknown network, or a multiplier that is not positive.
    """

    model: str = "vgg16"
    width_multiplier: float = 1.0
    batch_norm: bool = False
    model_class: str | None = None

    def __post_init__(self) -> None:
        if self.model not in NETWORKS:
            raise OptionError(f"--model must be one of {', '.join(NETWORKS)}, not {self.model!r}.")
        if not 0 < self.width_multiplier <= 16:
            raise OptionError(f"--width-multiplier must be above 0 and at most 16, not {self.width_multiplier}.")

    def architecture(self, images: ImageSet) -> Any:
        """The network's architecture for these images and their classes."""
        height, width, channels = images.images.shape[1:]
        shape, classes = (height, width, channels), len(images.classes)
        if self.model_class is not None:
            return ModuleArchitecture(self.model_class, shape, classes)
        return NETWORKS[self.model](
            width_multiplier=self.width_multiplier, batch_norm=self.batch_norm, classes=classes, input_shape=shape
        )


def train_model(
    directory: Path,
    network: NetworkOptions,
    data: DataOptions,
    settings: TrainingSettings,
    *,
    image_size: int | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Train a network on the training split and write it to ``directory``.

    Returns:
        Accuracy on the test split where there is one, else on the training split (``split`` says which),
        with ``train_accuracy``, parameters and MACs.

    Raises:
        StoreError: the directory is occupied.
        DataError: the data cannot be read.
        ArchitectureError, TrainingError: see :mod:`models`.
    """
    directory = Path(directory)
    store.check_target(directory)
    images = datasets.load(
        data.data,
        data.split,
        data_dir=data.data_dir,
        images=data.images,
        seed=data.seed,
        image_size=image_size,
    )
    built = network.architecture(images).build(settings.seed)
    reporter = reporter or Silent()
    for layer in getattr(built, "left_whole", ()):
        reporter.message(str(layer))
    model = Model(built, Normalisation.of_images(images.images), images.classes)
    # The other split is read before the long work, so that trouble with it comes early.
    held_out = None
    if data.split != "test" and "test" in datasets.available_splits(data.data, data_dir=data.data_dir):
        held_out = datasets.load(data.data, "test", data_dir=data.data_dir, image_size=image_size)
        check_fit(held_out, model)

    train(model.network, model.normalisation, images.images, images.labels, settings, reporter.training)
    trained = measure(model, images)
    tested = trained if held_out is None else measure(model, held_out)
    model.notes = {
        "data": {"source": data.data, "split": data.split, "images": len(images)},
        "training": asdict(settings),
        "accuracies": {
            result["split"]: {key: result[key] for key in ("accuracy", "correct", "total")}
            for result in (trained, tested)
        },
        "versions": versions(),
    }
    store.save(directory, model)
    return {**tested, "train_accuracy": trained["accuracy"]}
