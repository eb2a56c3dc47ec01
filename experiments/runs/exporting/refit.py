"""Refitting: least squares for BEST, or for the smallest finalist that is accurate enough after its refit.

A refit passes some thousand images through the network, so a search scores its masks without one. It can pay to
search beyond the accuracy that is wanted in the end and to choose after the refit. Finalists are judged on the
fitness images and on check images, which neither the search nor the refit saw: a network looks better than it is
on the images that it was fitted to.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from engine.errors import DataError, OptionError
from experiments.data import datasets
from experiments.data.datasets import ImageSet
from experiments.data.loading import load_images
from experiments.data.unseen import calibration_places, unseen_images
from experiments.measurement.measuring import measure
from experiments.runs.exporting.pick import (
    ACCURACY_DROP,
    Condition,
    chosen_mask,
    finalists,
    is_upper_bound,
    parse_pick,
)
from experiments.runs.knowledge.compensation import SPLIT
from experiments.runs.saved import SavedRun
from models.compensation.aims import Aims
from models.compensation.folding import compensated
from models.compensation.method import Compensation
from models.compensation.refit import refitted
from models.contract import Network
from models.model_directory import Model
from models.pruning import prune

IMAGES = 5_000
"""Training images that layers are fitted to."""

CHECK_IMAGES = 5_000
"""Check images, at most: training images that neither the search nor the refit saw, to judge masks by."""


@dataclass(frozen=True)
class Judgement:
    """What a refitted network is worth on some images; ``accuracy_drop`` is in percent."""

    accuracy_drop: float
    correct: int
    total: int


@dataclass(frozen=True)
class Refit:
    """A refitted mask.

    Attributes:
        mask: ``bool[f]``.
        network: as large as the unpruned one, with the refitted weights.
        images: number of images that the weights were fitted to.
        fitness: on the fitness images.
        check: on the check images; None where there are none.
    """

    mask: np.ndarray
    network: Network
    images: int
    fitness: Judgement
    check: Judgement | None

    @property
    def drop(self) -> float:
        """The accuracy drop by which finalists are judged, percent: the larger of the two."""
        return max(judged.accuracy_drop for judged in (self.fitness, self.check) if judged is not None)

    def to_json(self) -> dict[str, Any]:
        """The figures as a JSON object."""
        check = {} if self.check is None else {"check": asdict(self.check)}
        return {"images": self.images, "fitness": asdict(self.fitness), **check}


class Refitter:
    """Refits masks of a run to training images, and judges the refitted networks."""

    def __init__(self, saved: SavedRun, images: int):
        """``images``: number of training images to fit to, at most.

        Raises:
            OptionError: no images.
            CompensationError: the network names no weights that read its filters.
            DataError: there is no training split, it cannot be read, or the model gets no fitness image right.
        """
        if images < 1:
            raise OptionError(f"`refit_images` must be 1 or more, not {images}.")
        data = saved.options.data
        if SPLIT not in datasets.available_splits(data.data, data_dir=data.data_dir):
            raise DataError(
                f"`refit` needs training images and `data` {data.data} has no {SPLIT} split; leave it out."
            )
        self._problem, self._compensation, self._reporter = saved.problem, saved.compensation, saved.reporter
        found = datasets.size(data.data, SPLIT, data_dir=data.data_dir, labelled=data.labelled)
        training = replace(data, split=SPLIT)
        fitted = replace(training, images=min(images, found))
        seen, measured = [data, fitted], None
        if self._compensation is not None:
            seen.append(replace(training, images=min(saved.options.compensation_images, found)))
            if self._compensation.calibration is not None:
                measured, _ = calibration_places(data, saved.options.calibration_images)
        model = self._problem.model
        self._aims = Aims(model.network, model.normalisation, load_images(fitted, model).images)
        self._fitness = self._problem.images
        self._original = self._correct(self._problem.model, self._fitness)
        if self._original == 0:
            raise DataError(
                f"the model gets none of the fitness images of `data` {data.data} right, so that nothing can be "
                "lost on them; give the run's own with `data_dir`."
            )
        self._check = unseen_images(seen, CHECK_IMAGES, self._problem.model, measured)
        self._original_check = 0
        if self._check is None:
            self._reporter.message(
                "the search saw all training images: refitted masks are judged by the fitness images alone."
            )
            return
        self._original_check = self._correct(self._problem.model, self._check)
        if self._original_check == 0:
            self._reporter.message(
                f"the model gets none of the {len(self._check):,} training images right that the search did not "
                "see: refitted masks are judged by the fitness images alone."
            )
            self._check = None

    def __call__(self, mask: np.ndarray) -> Refit:
        """Refit ``bool[f]``."""
        model, genome = self._problem.model, self._problem.genome
        keeps = genome.layout.split(mask)
        network = refitted_network(self._aims, keeps, self._compensation)
        smaller = Model(prune(network, keeps), model.normalisation, model.classes)
        fitness = self._judged(smaller, self._fitness, self._original)
        check = None if self._check is None else self._judged(smaller, self._check, self._original_check)
        parameters = int(genome(mask[None]).parameters[0])
        told = f"{fitness.accuracy_drop:.2f}% on the fitness images"
        if check is not None:
            told += f", {check.accuracy_drop:.2f}% on {check.total:,} check images"
        self._reporter.message(f"refitted with {parameters:,} parameters: accuracy drop {told}.")
        return Refit(mask, network, len(self._aims.images), fitness, check)

    def _judged(self, smaller: Model, images: ImageSet, original: int) -> Judgement:
        correct = self._correct(smaller, images)
        return Judgement(100 * (original - correct) / original, correct, len(images))

    @staticmethod
    def _correct(model: Model, images: ImageSet) -> int:
        return measure(model, images).correct


def refitted_network(aims: Aims, keeps: Mapping[str, np.ndarray], compensation: Compensation | None) -> Network:
    """The network of a run under ``keeps``, as large as the unpruned one, refitted.

    Args:
        aims: of the unpruned network.
        keeps: group name -> ``bool[group size]``, True = keep.
        compensation: of the search; None for none.

    Raises:
        CompensationError: see :func:`models.compensation.refit.refitted`.
    """
    start, calibration = aims.original, None
    if compensation is not None:
        # Statistics are measured behind the refitted weights.
        start, calibration = compensated(start, keeps, compensation), compensation.calibration
    return refitted(aims, start, keeps, calibration=calibration)


def refitted_choice(refit: Callable[[np.ndarray], Refit], saved: SavedRun, wanted: str | None) -> Refit:
    """BEST refitted; or the mask that ``wanted``, the conditions of ``pick``, asks for, judged after its refit.

    With an upper bound on the accuracy drop, the finalists are the front of all masks in accuracy and the run's
    goal. Bisection finds the finalist that drops most of the goal and meets the conditions. It supposes that the
    drop of refitted finalists never rises as they drop less of the goal.

    Raises:
        OptionError: no mask meets the conditions.
    """
    conditions = () if wanted is None else parse_pick(wanted)
    if wanted is None or not any(is_upper_bound(condition) for condition in conditions):
        return refit(chosen_mask(saved, wanted).mask)
    about_accuracy = [condition for condition in conditions if condition.name == ACCURACY_DROP]
    above = [condition for condition in about_accuracy if is_upper_bound(condition)]
    others = tuple(condition for condition in conditions if condition.name != ACCURACY_DROP)
    masks = finalists(saved, others)
    known: dict[int, Refit] = {}

    def meets(place: int) -> bool:
        known[place] = refit(masks[place])
        return _meets(known[place].drop, above)

    place = first_that(meets, len(masks))
    # Later finalists lose less accuracy. If this one misses a lower bound, all later finalists miss it too.
    if place is None or not _meets(known[place].drop, about_accuracy):
        raise OptionError(
            f"`pick` {wanted!r} fits none of the {len(masks):,} finalists of the run, refitted; ask for less, or "
            "search on with 'evoprune resume'."
        )
    return known[place]


def first_that(holds: Callable[[int], bool], count: int) -> int | None:
    """The lowest of ``count`` places that satisfies ``holds``; None if there is none.

    Every place after a place that satisfies ``holds`` must satisfy ``holds`` too.

    ``holds`` was called for the place that is returned.
    """
    low, high, found = 0, count, None
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high, found = middle, middle
        else:
            low = middle + 1
    return found


def _meets(drop: float, conditions: list[Condition]) -> bool:
    return all(bool(condition.holds({ACCURACY_DROP: np.array(drop)})) for condition in conditions)
