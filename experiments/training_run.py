"""From a data set to a trained model directory: the ``train`` command."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import OptionError
from experiments import datasets
from experiments.datasets import ImageSet
from experiments.environment import versions
from experiments.held_out_images import held_out_images
from experiments.measuring import DataOptions, measure
from experiments.progress import Reporter, Silent
from models import output_directory, store
from models.dependency.architecture import ModuleArchitecture
from models.normalisation import Normalisation
from models.registry import NETWORKS
from models.sensitivity import SensitivityRule
from models.store import Model
from models.training import train
from models.training_settings import TrainingSettings


@dataclass(frozen=True)
class NetworkOptions:
    """Which network: the ``--model``, ``--width-multiplier``, ``--batch-norm`` and ``--model-class`` options.

    ``model_class`` has been given to :func:`models.dependency.factories.load`, and takes the others' place.
    ``batch_norm`` None: as the network has it, or without where that is a choice.

    Raises:
        OptionError: an unknown network, or a multiplier that is not positive.
        ArchitectureError: batch norm or none is asked of a network that leaves no choice.
    """

    model: str = "vgg16"
    width_multiplier: float = 1.0
    batch_norm: bool | None = None
    model_class: str | None = None

    def __post_init__(self) -> None:
        if self.model not in NETWORKS:
            raise OptionError(f"--model must be one of {', '.join(NETWORKS)}, not {self.model!r}.")
        if not 0 < self.width_multiplier <= 16:
            raise OptionError(f"--width-multiplier must be above 0 and at most 16, not {self.width_multiplier}.")
        # Only to be told early, before any data is read.
        NETWORKS[self.model](batch_norm=self.batch_norm)

    @property
    def grey(self) -> bool:
        """Whether the network is made for grey images."""
        return self.model_class is None and NETWORKS[self.model].grey

    @property
    def image_size(self) -> int | None:
        """Height and width that the network is made for; None if it takes images as they come."""
        named = NETWORKS[self.model]
        return None if self.model_class is not None or named.any_size else named.input_shape[0]

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
    sensitivity: SensitivityRule | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Train a network on the training split and write it to ``directory``.

    A network that is made for grey images is trained on the luma of colour images; one that is made for a size
    (see ``evoprune models``) on images resized to it, unless ``image_size`` is given.

    Returns:
        Accuracy on the test split where there is one, else on the training split (``split`` says which),
        with ``train_accuracy``, parameters and MACs.

    Raises:
        StoreError: the directory is occupied.
        DataError: the data cannot be read.
        ArchitectureError, TrainingError: see :mod:`models`.
    """
    directory = Path(directory)
    output_directory.check_target(directory)
    if image_size is None:
        image_size = network.image_size
    images = datasets.load(
        data.data,
        data.split,
        data_dir=data.data_dir,
        images=data.images,
        seed=data.seed,
        image_size=image_size,
    )
    if network.grey:
        images = images.in_grey()
    built = network.architecture(images).build(settings.seed)
    reporter = reporter or Silent()
    for layer in getattr(built, "left_whole", ()):
        reporter.message(str(layer))
    model = Model(built, Normalisation.of_images(images.images), images.classes)
    model.notes = {"data": {} if image_size is None else {"image_size": image_size}}
    held_out = held_out_images(data, model)
    result = fit(model, images, held_out, settings, sensitivity=sensitivity, reporter=reporter)
    store.save(directory, model)
    return result


def fit(
    model: Model,
    images: ImageSet,
    held_out: ImageSet | None,
    settings: TrainingSettings,
    *,
    sensitivity: SensitivityRule | None,
    reporter: Reporter,
) -> dict[str, Any]:
    """Train ``model`` in place from the weights that it has, measure it, and write both into its notes.

    Returns:
        As :func:`train_model`.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    model.sensitivity = train(
        model.network,
        model.normalisation,
        images.images,
        images.labels,
        settings,
        reporter.training,
        sensitivity=sensitivity,
    )
    trained = measure(model, images)
    tested = trained if held_out is None else measure(model, held_out)
    model.notes = {
        "data": data_note(model, images),
        "training": asdict(settings),
        "accuracies": {
            result["split"]: {key: result[key] for key in ("accuracy", "correct", "total")}
            for result in (trained, tested)
        },
        "versions": versions(),
    }
    return {**tested, "train_accuracy": trained["accuracy"]}


def data_note(model: Model, images: ImageSet) -> dict[str, Any]:
    """What the notes of a network say that comes from ``model`` and these images."""
    earlier = model.notes.get("data")
    # The size that files of any size are resized to goes with the network.
    size = {key: earlier[key] for key in ("image_size",) if isinstance(earlier, dict) and key in earlier}
    return {"source": images.source, "split": images.split, "images": len(images), **size}
