"""Counts of masks whose remaining weights are refitted, as a search's finish refits them."""

import numpy as np

from engine.contracts import FAILED, Target
from experiments.baselines.subject import Subject
from experiments.runs.knowledge.compensation import refitted_network
from fitness.evaluation.evaluator import LocalEvaluator, usual_batch
from fitness.genome import Genome
from models.compensation.aims import RefitAims
from models.errors import CompensationError
from models.model_directory import Model
from models.pruning import prune


class RefittingEvaluator:
    """An :class:`engine.contracts.Evaluator`; it stops no mask early.

    Attributes:
        total: number of images.
    """

    def __init__(self, subject: Subject):
        """Refit to the subject's images for it."""
        assert subject.fitted is not None, "there are no images to refit to"
        self.total = len(subject.images)
        self._subject = subject
        self._aims = RefitAims(subject.model.network, subject.model.normalisation, subject.fitted.images)

    def evaluate(self, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
        """``bool[n, f]`` -> ``int64[n]``: correct images, or :data:`engine.contracts.FAILED`."""
        return np.array([self._count(mask) for mask in masks], np.int64)

    def _count(self, mask: np.ndarray) -> int:
        subject = self._subject
        keeps = subject.genome.layout.split(mask)
        try:
            network = refitted_network(self._aims, keeps, subject.compensation)
        except CompensationError:
            return FAILED
        smaller = Model(prune(network, keeps), subject.model.normalisation, subject.model.classes)
        layout = Genome.of(smaller.network, "all").layout
        images = subject.images
        with LocalEvaluator(
            smaller, layout, images.images, images.labels, usual_batch(), precision=subject.options.precision
        ) as evaluator:
            return int(evaluator.evaluate(layout.full()[None])[0])
