"""What the original and BEST answer on the held-out images, class by class."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.datasets import ImageSet
from fitness.evaluator import LocalEvaluator
from fitness.genome import Genome
from models.store import Model


@dataclass(frozen=True)
class ClassResults:
    """Confusion matrices ``int64[classes, classes]``: images of class (row) that were given class (column)."""

    classes: tuple[str, ...]
    original: np.ndarray
    pruned: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Plain values; accuracies are percent, None for a class of which there is no image."""
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


def class_results(model: Model, images: ImageSet, mask: np.ndarray, prune: str) -> ClassResults:
    """Ask the original and the network under ``mask``, ``bool[filters]`` of the ``prune`` genome."""
    genome = Genome.of(model.network, prune)
    with LocalEvaluator(model, genome.layout, images.images, images.labels) as evaluator:
        answers = [evaluator.predict(keep) for keep in (genome.layout.full(), mask)]
    original, pruned = (confusion_matrix(images.labels, given, len(model.classes)) for given in answers)
    return ClassResults(tuple(model.classes), original, pruned)


def confusion_matrix(labels: np.ndarray, given: np.ndarray, classes: int) -> np.ndarray:
    """``int64[classes, classes]`` of right classes (rows) and given ones (columns), ``int[n]`` each."""
    return np.bincount(labels * classes + given, minlength=classes**2).reshape(classes, classes)


def _percent(correct: np.integer, total: np.integer) -> float | None:
    return 100 * int(correct) / int(total) if total else None
