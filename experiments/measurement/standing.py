"""Whether the answers of an unpruned network mean anything: against chance, and against another order of classes.

A search keeps what the network can do. From a network at chance it finds that nearly all filters can go.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from engine.contracts import FAILED
from engine.errors import DataError
from engine.search.evaluation import checked_original
from experiments.data.datasets import ImageSet
from experiments.data.matching import ORIGINAL
from experiments.progress import Reporter, Silent
from fitness.evaluation.evaluator import CPU_BATCH, LocalEvaluator
from fitness.genome import Genome
from models.model_directory import Model

MOST_IMAGES = 2_000
"""Images that the network is asked about, and that are read for it; more would tell no more."""

_SAMPLE_STREAM = 0x57A9D
_SURE = 2.326
"""Standard deviations that chance exceeds once in a hundred times."""
_FEWEST_OF_ONE_CLASS = 10
_MOST_CLASSES_TO_REORDER = 2_000
_DARK = 25
_AT_ONCE = 64
_CHECKS = "check `data`, the normalisation, the input size and the order of the classes"


@dataclass(frozen=True)
class Standing:
    """Counts of answers of the unpruned network.

    Attributes:
        total: number of images.
        correct: right answers.
        by_chance: right answers to expect if the same answers were dealt out to the images at random.
        deviation: standard deviation of that number.
        reordered: right answers in the order of classes that fits the answers best; None if that is not known.
        most_frequent: number of the class with most images, and the images that it has.
        constant: the class that the network answers to every image; None if answers differ.
    """

    total: int
    correct: int
    by_chance: float
    deviation: float
    reordered: int | None
    most_frequent: tuple[int, int]
    constant: int | None

    @classmethod
    def of(cls, answers: np.ndarray, labels: np.ndarray) -> "Standing":
        """From classes ``int[n]``, as the network and as the data have them; n is 1 or more."""
        total, classes = len(labels), int(max(answers.max(), labels.max())) + 1
        given, right = (np.bincount(found, minlength=classes).astype(float) for found in (answers, labels))
        both = given * right
        expected = both.sum() / total
        # Pairs of images that are both right: of one class, or of two.
        pairs = (given * (given - 1)) @ (right * (right - 1)) + both.sum() ** 2 - both @ both
        variance = pairs / max(1, total * (total - 1)) + expected - expected**2
        return cls(
            total=total,
            correct=int((answers == labels).sum()),
            by_chance=float(expected),
            deviation=float(np.sqrt(max(0.0, variance))),
            reordered=_reordered(answers, labels, classes),
            most_frequent=(int(right.argmax()), int(right.max())),
            constant=int(answers[0]) if (answers == answers[0]).all() else None,
        )

    @property
    def at_chance(self) -> bool:
        """Whether the answers tell nothing of the images, on enough images to say so of a useful network."""
        excess, room = self.correct - self.by_chance, self.total - self.by_chance
        # A network that gets half of what chance gets wrong has at least so much excess.
        useful = room / 2 - _SURE * np.sqrt(room) / 2
        return excess <= _SURE * self.deviation and excess < useful

    @property
    def in_another_order(self) -> bool:
        """Whether the answers are those of a network whose outputs have another order."""
        return self.reordered is not None and self.reordered - self.correct > 0.3 * self.total

    def fault(self, model: Model, *, own: bool = False) -> str | None:
        """Why nothing can be learnt from these counts; None if nothing is wrong.

        ``own``: the labels are the network's own answers, all of which are right.
        """
        if own:
            if self.constant is None or self.total == 1:
                return None
            return (
                f"the unpruned network answers {model.classes[self.constant]!r} to all {self.total:,} images, so "
                "every network that answers one class agrees with it; give images of several classes, or check "
                "the normalisation and the input size"
            )
        found = f"the unpruned network gets {self.correct:,} of {self.total:,} images right ({self._percent()})"
        same = "" if self.constant is None else f"; it answers {model.classes[self.constant]!r} to every image"
        if self.in_another_order:
            return (
                f"{found}, and {self.reordered:,} if its classes had another order: the labels are not those of "
                "its outputs; import the model with `classes`, in the order of its outputs"
            )
        if self.most_frequent[1] == self.total >= _FEWEST_OF_ONE_CLASS:
            return (
                f"all {self.total:,} images are of class {model.classes[self.most_frequent[0]]!r}, so a network "
                "that answers this class to every image gets all right; give images of all classes"
            )
        if self.at_chance:
            chance = (
                f"{100 * self.by_chance / self.total:.2f}% with such answers, 1 of {len(model.classes)} classes"
            )
            return f"{found}, no better than chance ({chance}){same}; {_CHECKS}"
        return None

    def collapse(self, model: Model, threshold: float) -> str | None:
        """A warning where a network that answers one class to every image is within ``threshold``, percent."""
        number, count = self.most_frequent
        if self.correct * (1 - threshold / 100) > count or self.total < _FEWEST_OF_ONE_CLASS:
            return None
        return (
            f"a network that answers {model.classes[number]!r} to every image gets "
            f"{100 * count / self.total:.2f}% of them right, which the accuracy drop of {threshold:g}% allows: "
            "masks may come to that; give a smaller `threshold`, or images of all classes in equal numbers."
        )

    def to_json(self) -> dict[str, Any]:
        """The counts, for ``run.json``."""
        return {"images": self.total, "correct": self.correct, "by_chance": round(self.by_chance, 2)}

    def _percent(self) -> str:
        return f"{100 * self.correct / self.total:.2f}%"


def _reordered(answers: np.ndarray, labels: np.ndarray, classes: int) -> int | None:
    """Right answers after the best renumbering of classes; None where too few images would fit any order."""
    if classes > _MOST_CLASSES_TO_REORDER or len(labels) < 5 * classes:
        return None
    counts = np.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return int(counts[rows, columns].sum())


def examine(model: Model, images: ImageSet, batch: int = CPU_BATCH) -> Standing:
    """Ask the unpruned network about some of the images, which fit it.

    Raises:
        EvaluationError: the network answers NaN or infinity.
    """
    images = _sample(images).decoded()
    genome = Genome.of(model.network, "all")
    with LocalEvaluator(model, genome.layout, images.images, images.labels, batch) as evaluator:
        answers = evaluator.predict(genome.layout.full())
    if (answers < 0).any():
        checked_original(FAILED)
    return Standing.of(answers, images.labels)


def _sample(images: ImageSet) -> ImageSet:
    """At most :data:`MOST_IMAGES` of the images, which need not be in memory."""
    if len(images) <= MOST_IMAGES:
        return images
    chosen = np.random.default_rng(_SAMPLE_STREAM).choice(len(images), MOST_IMAGES, replace=False)
    return images.at(np.sort(chosen))


def plain_doubts(model: Model, images: ImageSet) -> tuple[str, ...]:
    """Sentences on labels, normalisation and pixels that make an accuracy doubtful; no network is asked.

    Of images that are not in memory, a sample is read, and only until a pixel is bright.
    """
    found = [] if images.matching is None else list(images.matching.warnings)
    if doubt := model.normalisation.doubt():
        found.append(f"the normalisation of the model is doubtful: {doubt}.")
    if (brightest := _brightest(_sample(images))) <= _DARK:
        found.append(
            f"the brightest pixel of `data` {images.source} is {brightest} of 255; check that its pixels are "
            "from 0 to 255."
        )
    return tuple(found)


def _own(images: ImageSet) -> bool:
    """Whether the labels are the network's own answers."""
    return images.matching is not None and images.matching.way == ORIGINAL


def _brightest(images: ImageSet) -> int:
    """The brightest pixel, or the first that is not dark."""
    brightest = 0
    for part, _ in images.parts(_AT_ONCE):
        brightest = max(brightest, int(part.max()))
        if brightest > _DARK:
            break
    return brightest


def check_standing(
    model: Model,
    images: ImageSet,
    reporter: Reporter | None = None,
    *,
    force: bool = False,
    threshold: float | None = None,
) -> tuple[Standing, tuple[str, ...]]:
    """Refuse a model and images from which pruning can learn nothing; called before long work.

    Args:
        model: unpruned.
        images: that masks will be evaluated on, or filters ranked on.
        reporter: hears the warnings.
        force: warn instead of refusing.
        threshold: accuracy drop that masks may have, percent; None if there is no such limit.

    Returns:
        The standing of the network, and the warnings.

    Raises:
        DataError: the network is no better than chance, its classes have another order, all images are of one
            class, or its normalisation is for other pixels.
        EvaluationError: the network answers NaN or infinity, or gets none of the images right.
    """
    reporter = reporter or Silent()
    reporter.message("asking the unpruned network, to see that it is better than chance")
    standing = examine(model, images)
    if standing.correct == 0 and not standing.in_another_order:
        checked_original(0)
    fault = standing.fault(model, own=_own(images))
    doubt = model.normalisation.doubt()
    if doubt is not None:
        normalised = f"the normalisation of the model is doubtful: {doubt}; import the model anew"
        fault = normalised if fault is None else f"{fault}; {normalised}"
    if fault is not None and not force:
        raise DataError(f"{fault}; `force` goes on all the same.")
    warnings = list(plain_doubts(model, images))
    if fault is not None:
        warnings.append(f"{fault}.")
    elif threshold is not None and (collapse := standing.collapse(model, threshold)):
        warnings.append(collapse)
    for warning in warnings:
        reporter.message(f"warning: {warning}")
    return standing, tuple(dict.fromkeys(warnings))


def doubts(model: Model, images: ImageSet, correct: int) -> tuple[str, ...]:
    """What makes the accuracy of ``correct`` right answers to these images doubtful, as sentences."""
    found = plain_doubts(model, images)
    if _own(images):
        if len(np.unique(images.labels)) == 1 < len(images):
            found += (f"the unpruned network answers {model.classes[images.labels[0]]!r} to all images.",)
        return found
    share = np.bincount(images.labels).max() / len(images)
    if correct <= len(images) * max(0.5, 1.1 * share):
        fault = examine(model, images).fault(model)
        found += () if fault is None else (f"{fault}.",)
    return found
