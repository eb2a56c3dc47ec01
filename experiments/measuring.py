"""Accuracy of models on a split of real images."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import DataError
from experiments import datasets
from experiments.class_names import labelled_as
from experiments.datasets import ImageSet
from fitness.evaluator import CPU_BATCH, LocalEvaluator
from fitness.genome import Genome
from models import store
from models.cost import network_cost
from models.store import Model


@dataclass(frozen=True)
class DataOptions:
    """Which images: the ``--data``, ``--data-dir``, ``--split``, ``--images`` and ``--seed`` options."""

    data: str
    data_dir: str | None = None
    split: str = "train"
    images: int | None = None
    seed: int = 0

    def moved(self, folder: str) -> "DataOptions":
        """The same data in another place: ``--data-dir`` of a named set, PATH of ``KIND:PATH``."""
        kind, colon, _ = self.data.partition(":")
        place = str(Path(folder).resolve())
        return replace(self, data=f"{kind}:{place}") if colon else replace(self, data_dir=place)

    def resolved(self) -> "DataOptions":
        """The same with absolute paths, so that a run can be resumed from another working directory."""
        kind, colon, path = self.data.partition(":")
        data = f"{kind}:{Path(path).resolve()}" if colon and path else self.data
        data_dir = None if self.data_dir is None else str(Path(self.data_dir).resolve())
        return replace(self, data=data, data_dir=data_dir)


def load_images(options: DataOptions, model: Model) -> ImageSet:
    """The images of a split, in the size that the model takes, in grey if it takes grey, labelled as it answers.

    Raises:
        DataError: the data cannot be read, or does not fit the model.
    """
    height, width, channels = model.network.architecture.input_shape
    # A file of one's own holds what it holds, unless the model was trained on such images resized; named sets
    # and folders of pictures have a size to choose.
    data = model.notes.get("data")
    resized = isinstance(data, dict) and data.get("image_size") == height
    sizeless = options.data.startswith(("npz:", "parquet:")) and not resized
    chosen = datasets.load(
        options.data,
        options.split,
        data_dir=options.data_dir,
        images=options.images,
        seed=options.seed,
        image_size=None if sizeless or height != width else height,
    )
    if channels == 1:
        chosen = chosen.in_grey()
    return fitted(chosen, model)


def fitted(images: ImageSet, model: Model) -> ImageSet:
    """The same images, with labels that are places in the model's classes (:mod:`experiments.class_names`).

    Raises:
        DataError: another shape than the model takes, or classes that it does not know.
    """
    expected = model.network.architecture.input_shape
    if images.images.shape[1:] != expected:
        found = "x".join(map(str, images.images.shape[1:]))
        raise DataError(
            f"--data {images.source} has images of {found} and the model takes {'x'.join(map(str, expected))} "
            "(height x width x channels); give the data that the model was trained on."
        )
    images = labelled_as(model.classes, images)
    if images.labels.max() >= len(model.classes):
        raise DataError(
            f"--data {images.source} has label {images.labels.max()} and the model knows "
            f"{len(model.classes)} classes; give the data that the model was trained on."
        )
    return images


def measure(model: Model, images: ImageSet, batch: int = CPU_BATCH) -> dict[str, Any]:
    """Accuracy (0 to 1) of a model, with its parameters and MACs."""
    # Any filters will do, for all are kept; a network of dense layers has no others.
    genome = Genome.of(model.network, "all")
    with LocalEvaluator(model, genome.layout, images.images, images.labels, batch) as evaluator:
        correct = int(evaluator.evaluate(genome.layout.full()[None])[0])
    if correct < 0:
        raise DataError(f"the model answers NaN or infinity on --data {images.source}; train or import it anew.")
    parameters, macs = network_cost(model.network)
    return {
        "accuracy": correct / len(images),
        "correct": correct,
        "total": len(images),
        "split": images.split,
        "parameters": parameters,
        "macs": macs,
    }


def evaluate_model(directory: Path, options: DataOptions) -> dict[str, Any]:
    """The accuracy of a model directory: the ``evaluate`` command.

    Raises:
        StoreError: the model cannot be read.
        DataError: the data cannot be read, or does not fit the model.
    """
    model = store.load(directory)
    return measure(model, load_images(options, model))
