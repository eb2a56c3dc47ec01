"""Accuracy of models on a split of real images: the ``evaluate`` command."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError, OptionError
from experiments.data.datasets import ImageSet
from experiments.data.facts import DataFacts, result_json
from experiments.data.loading import open_images
from experiments.data.options import DataOptions
from experiments.measurement.standing import doubts
from experiments.progress import Reporter, Silent
from fitness.evaluation.evaluator import CPU_BATCH
from fitness.evaluation.streaming import StreamedEvaluator
from fitness.genome import Genome
from models import model_directory
from models.cost import network_cost
from models.model_directory import Model


@dataclass(frozen=True)
class Measurement:
    """Accuracy and size of a model.

    Attributes:
        accuracy: ``correct / total``, 0 to 1.
        correct: number of images that the model classifies correctly.
        total: number of images.
        split: name of their split.
        parameters: trainable parameters of the network.
        macs: multiply-accumulates of the network for one image.
        facts: what was noticed about the images.
    """

    accuracy: float
    correct: int
    total: int
    split: str
    parameters: int
    macs: int
    facts: DataFacts = field(default_factory=DataFacts)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return result_json(self)

    def note(self) -> dict[str, Any]:
        """What the notes of a model keep for the split."""
        return {"accuracy": self.accuracy, "correct": self.correct, "total": self.total}


def measure(
    model: Model,
    images: ImageSet,
    batch: int = CPU_BATCH,
    reporter: Reporter | None = None,
    *,
    doubting: bool = False,
) -> Measurement:
    """Measure a model on images that fit it; ``doubting`` looks for warnings.

    Images that are not in memory are read a few batches at a time.

    Raises:
        DataError: the model answers NaN or infinity.
    """
    (reporter or Silent()).message(
        f"compiling, then evaluating {len(images):,} images of the split {images.split}"
    )
    # The mask keeps all filters, so that any genome will do; "all" exists for every network.
    genome = Genome.of(model.network, "all")
    correct = int(StreamedEvaluator(model, genome.layout, images, batch).evaluate(genome.layout.full()[None])[0])
    if correct < 0:
        raise _not_finite(images)
    parameters, macs = network_cost(model.network)
    total, warnings = len(images), doubts(model, images, correct) if doubting else ()
    facts = DataFacts.of(images, warnings)
    return Measurement(correct / total, correct, total, images.split, parameters, macs, facts)


def predictions(model: Model, images: ImageSet, batch: int = CPU_BATCH) -> np.ndarray:
    """Predicted classes ``int32[n]``. Images that are not in memory are read a few batches at a time.

    Raises:
        DataError: the model answers NaN or infinity.
    """
    genome = Genome.of(model.network, "all")
    evaluator = StreamedEvaluator(model, genome.layout, images, batch)
    [classes] = evaluator.predict(genome.layout.full()[None])
    if (classes < 0).any():
        raise _not_finite(images)
    return np.asarray(classes)


def _not_finite(images: ImageSet) -> DataError:
    return DataError(f"the model answers NaN or infinity on `data` {images.source}; train or import it anew.")


def read_model(directory: Path, reporter: Reporter) -> Model:
    """Read a model directory and say so, as the first import of JAX and large files take seconds.

    Raises:
        StoreError: the directory holds no model that can be read.
    """
    reporter.message(f"reading the model {directory}")
    return model_directory.load(directory)


def evaluate_model(
    directory: Path, options: DataOptions, *, original: Path | None = None, reporter: Reporter | None = None
) -> Measurement:
    """The accuracy of a model directory, or its agreement with ``original``: the ``evaluate`` command.

    Raises:
        OptionError: ``labels`` original without the directory of the unpruned network, or the directory without
            ``labels`` original.
        StoreError: the model cannot be read.
        DataError: the data cannot be read, or does not fit the model.
    """
    reporter = reporter or Silent()
    if options.labelled and original is not None:
        raise OptionError("`original` has no effect without `labels` original; leave it out, or give both.")
    if not options.labelled and original is None:
        raise OptionError(
            "`labels` original needs the unpruned network: name its directory with `original`, as a network "
            "always agrees with itself."
        )
    model = read_model(directory, reporter)
    unpruned = None if original is None else read_model(original, reporter)
    images = open_images(options, model, reporter, original=unpruned)
    return measure(model, images, reporter=reporter, doubting=True)
