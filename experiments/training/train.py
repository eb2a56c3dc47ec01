"""From a data set to a trained model directory: the ``train`` command."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from experiments.data import datasets
from experiments.data.datasets import ImageSet
from experiments.data.loading import data_notes, fitted, held_out_images
from experiments.data.options import DataOptions
from experiments.data.original_answers import check_labelled
from experiments.data.unlabelled import classes_without_images
from experiments.environment import versions
from experiments.measurement.measuring import Measurement, measure
from experiments.measurement.standing import doubts
from experiments.progress import Reporter, Silent
from experiments.training.network_options import NetworkOptions
from models import model_directory, output_directory
from models.model_directory import Model
from models.normalisation import Normalisation
from models.training.loop import train
from models.training.sensitivity import SensitivityRule
from models.training.settings import TrainingSettings
from models.xla import check_devices


@dataclass(frozen=True, kw_only=True)
class TrainingResult(Measurement):
    """A trained model, measured on the held-out split where there is one, else on the training split.

    ``train_accuracy`` is the accuracy on the training images, 0 to 1.
    """

    train_accuracy: float = 0.0


def train_model(
    directory: Path,
    network: NetworkOptions,
    data: DataOptions,
    settings: TrainingSettings,
    *,
    image_size: int | None = None,
    sensitivity: SensitivityRule | None = None,
    reporter: Reporter | None = None,
) -> TrainingResult:
    """Train a network on the training split and write it to ``directory``.

    A network for grey images is trained on the luma of colour images. A network for images of one size (see
    ``evoprune models``) is trained on images resized to it, unless ``image_size`` is given.

    Raises:
        StoreError: the directory is occupied.
        DataError: the data cannot be read.
        ArchitectureError, TrainingError, DeviceError: see :mod:`models`.
    """
    directory, reporter = Path(directory), reporter or Silent()
    check_labelled(data, "train a network")
    output_directory.check_target(directory)
    check_devices()
    if image_size is None:
        image_size = network.image_size
    images = datasets.load(
        data.data,
        data.split,
        data_dir=data.data_dir,
        images=data.images,
        seed=data.seed,
        image_size=image_size,
        resize=data.resize,
        channels=1 if network.grey else None,
        tell=reporter.message,
    )
    lacking = classes_without_images(images)
    for warning in lacking:
        reporter.message(f"warning: {warning}")
    built = network.architecture(images).build(settings.seed)
    for layer in getattr(built, "left_whole", ()):
        reporter.message(str(layer))
    model = Model(built, Normalisation.of_images(images.images), images.classes)
    noted = {"image_size": image_size, "resize": data.resize}
    model.notes = {"data": {name: value for name, value in noted.items() if value is not None}}
    images = fitted(images, model)
    held_out, remark = held_out_images(data, model, reporter)
    if held_out is not None:
        reporter.message(f"checking {len(held_out):,} images of the split {held_out.split}")
        held_out.check()
    result = fit(model, images, held_out, settings, sensitivity=sensitivity, reporter=reporter)
    model_directory.save(directory, model)
    warnings = (*lacking, *doubts(model, held_out or images, result.correct))
    return replace(result, facts=result.facts.adding(warnings=warnings, remarks=[remark]))


def fit(
    model: Model,
    images: ImageSet,
    held_out: ImageSet | None,
    settings: TrainingSettings,
    *,
    sensitivity: SensitivityRule | None,
    reporter: Reporter,
) -> TrainingResult:
    """Train ``model`` in place from its present weights, measure it, and write both into its notes.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    reporter.message("compiling the training step")
    model.sensitivity = train(
        model.network,
        model.normalisation,
        images.images,
        images.labels,
        settings,
        reporter.training,
        sensitivity=sensitivity,
    )
    trained = measure(model, images, reporter=reporter)
    tested = trained if held_out is None else measure(model, held_out, reporter=reporter)
    model.notes = {
        "data": data_note(model, images),
        "training": asdict(settings),
        "accuracies": {result.split: result.note() for result in (trained, tested)},
        "versions": versions(),
    }
    told = trained.facts.adding(remarks=tested.facts.remarks).remarks
    facts = replace(tested.facts, remarks=told)
    return TrainingResult(**{**vars(tested), "facts": facts}, train_accuracy=trained.accuracy)


def data_note(model: Model, images: ImageSet) -> dict[str, Any]:
    """The entry ``data`` in the notes of a network that is made from ``model`` and these images."""
    earlier = data_notes(model)
    # Images of any size are resized to this size for the network, whichever images trained it last.
    size = {key: value for key, value in earlier.items() if key in ("image_size", "resize")}
    return {"source": images.source, "split": images.split, "images": len(images), **size}
