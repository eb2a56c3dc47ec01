"""Answers of the original and of the pruned network on the held-out images, class by class."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import DataError
from experiments.data.datasets import ImageSet
from experiments.measurement.measuring import predictions
from fitness.evaluation.streaming import StreamedEvaluator
from fitness.genome import Genome
from models.compensation.method import Compensation
from models.model_directory import Model


@dataclass(frozen=True)
class ClassResults:
    """Confusion matrices ``int64[classes, classes]``: images of class (row) that were given class (column)."""

    classes: tuple[str, ...]
    original: np.ndarray
    pruned: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Plain values; accuracies are percent, None for a class without images."""
        totals = self.original.sum(axis=1)
        return {
            "classes": [
                {
                    "name": name,
                    "images": int(total),
                    "original_accuracy": _percent(self.original[number, number], total),
                    "accuracy": _percent(self.pruned[number, number], total),
                }
                for number, (name, total) in enumerate(zip(self.classes, totals, strict=True))
            ],
            "original_confusion": self.original.tolist(),
            "confusion": self.pruned.tolist(),
        }


def class_results(
    model: Model, images: ImageSet, mask: np.ndarray, prune: str, compensation: Compensation | None
) -> ClassResults:
    """Evaluate the original and the network under ``mask``, ``bool[filters]`` of the ``prune`` genome."""
    genome = Genome.of(model.network, prune)
    evaluator = StreamedEvaluator(model, genome.layout, images, compensation=compensation)
    return _compared(model, images, *evaluator.predict(np.stack([genome.layout.full(), mask])))


def class_results_of(model: Model, smaller: Model, images: ImageSet) -> ClassResults:
    """Evaluate the original and a network that was made smaller."""
    return _compared(model, images, predictions(model, images), predictions(smaller, images))


def _compared(model: Model, images: ImageSet, before: np.ndarray, after: np.ndarray) -> ClassResults:
    if min(before.min(), after.min()) < 0:
        raise DataError(f"the network answers NaN or infinity on the {images.split} split.")
    original, pruned = (confusion_matrix(images.labels, given, len(model.classes)) for given in (before, after))
    return ClassResults(tuple(model.classes), original, pruned)


def confusion_matrix(labels: np.ndarray, given: np.ndarray, classes: int) -> np.ndarray:
    """``int64[classes, classes]``: counts by right class (row) and given class (column); both are ``int[n]``."""
    return np.bincount(labels * classes + given, minlength=classes**2).reshape(classes, classes)


def _percent(correct: np.integer, total: np.integer) -> float | None:
    return 100 * int(correct) / int(total) if total else None
