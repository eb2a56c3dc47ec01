"""Counts of masks whose remaining weights are refitted, as a search's finish refits them."""

from dataclasses import replace

import numpy as np

from engine.contracts import FAILED, Target
from experiments.baselines.subject import Subject
from experiments.data.loading import open_images
from experiments.data.unseen import TRAIN_SPLIT, calibration_places
from experiments.runs.exporting.refit import refitted_network
from fitness.evaluation.evaluator import LocalEvaluator, usual_batch
from fitness.genome import Genome
from models.compensation.aims import Aims
from models.errors import CompensationError
from models.model_directory import Model
from models.pruning import prune


class RefittingEvaluator:
    """An :class:`engine.contracts.Evaluator`; it stops no mask early.

    Attributes:
        total: number of images.
    """

    def __init__(self, subject: Subject, images: int):
        """Refit to ``images`` training images, others than those that are counted if possible.

        Raises:
            CompensationError: the network names no weights that read its filters.
            DataError: the training split cannot be read, or does not fit the model.
        """
        self.total = len(subject.images)
        self._subject = subject
        model, data = subject.model, subject.options.data
        training = open_images(replace(data, split=TRAIN_SPLIT, images=None), model)
        fitted = training.at(calibration_places(data, images)[0]).decoded()
        self._aims = Aims(model.network, model.normalisation, fitted.images)

    def evaluate(self, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
        """``bool[n, f]`` -> ``int64[n]``: correct images, or :data:`engine.contracts.FAILED`."""
        return np.array([self._count(mask) for mask in masks], np.int64)

    def _count(self, mask: np.ndarray) -> int:
        subject = self._subject
        keeps = subject.genome.layout.split(mask)
        try:
            network = refitted_network(self._aims, keeps, subject.compensation)
        except CompensationError:
            # As a mask whose network answers NaN.
            return FAILED
        smaller = Model(prune(network, keeps), subject.model.normalisation, subject.model.classes)
        layout = Genome.of(smaller.network, "all").layout
        images = subject.images
        with LocalEvaluator(
            smaller, layout, images.images, images.labels, usual_batch(), precision=subject.options.precision
        ) as evaluator:
            return int(evaluator.evaluate(layout.full()[None])[0])
