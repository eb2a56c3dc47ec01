"""Accuracy of BEST and RESULT on images that the search never saw: reported, never used to choose."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import numpy as np

from engine.errors import DataError
from engine.layout import mask_sha256
from engine.run.directory import RunDirectory
from engine.stores.base import RunStore
from experiments.data.datasets import ImageSet
from experiments.data.facts import DataFacts
from experiments.data.loading import HELD_OUT_SPLITS, held_out_images
from experiments.measurement.known_counts import KnownCount
from experiments.measurement.measuring import measure
from experiments.measurement.standing import plain_doubts
from experiments.runs.finish.weights import Leaving
from experiments.runs.problem import Problem
from fitness.evaluation.evaluator import CPU_BATCH
from fitness.evaluation.streaming import StreamedEvaluator
from models.compensation.method import Compensation

NAME = "held_out.json"
NO_ACCURACY = "no held-out accuracy: "

_LEAST_BATCH = 16
"""Images of a batch, however few the fitness images are."""


@dataclass(frozen=True)
class HeldOut:
    """Counts on the held-out images, and accuracies from 0 to 1.

    Attributes:
        split: of the data.
        total: number of images.
        original_correct: images that the unpruned network gets right.
        correct: images that BEST gets right.
        original_accuracy: ``original_correct / total``.
        accuracy: ``correct / total``.
        sha256: name of BEST's mask.
        result_correct: images that the RESULT gets right; None where there is none, or it is BEST.
        result_digest: of the RESULT's network; None likewise.
        images_digest: of the images and their labels.
        remark: a sentence on why the split is not the test split; else empty.
        warnings: sentences on what makes the accuracies doubtful.
        remarks: sentences on how the images were read.
    """

    split: str
    total: int
    original_correct: int
    correct: int
    original_accuracy: float
    accuracy: float
    sha256: str
    result_correct: int | None = None
    result_digest: str | None = None
    images_digest: str = ""
    remark: str = ""
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def drop(self) -> float | None:
        """The accuracy drop of the RESULT, or of BEST where there is none, in percent; None if not known."""
        correct = self.correct if self.result_correct is None else self.result_correct
        return 100 * (self.original_correct - correct) / self.original_correct if self.original_correct else None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**asdict(self), "warnings": list(self.warnings), "remarks": list(self.remarks)}

    @property
    def facts(self) -> DataFacts:
        """On the images, with the remark on the split."""
        return DataFacts(warnings=self.warnings).adding(remarks=[self.remark, *self.remarks])


def measure_held_out(
    run: RunDirectory,
    problem: Problem,
    mask: np.ndarray,
    compensation: Compensation | None,
    result: Leaving | None = None,
) -> tuple[HeldOut | None, str]:
    """Count on a split that the search did not use, and keep the counts in ``held_out.json`` of the run.

    The images are read a few batches at a time: the split may be far larger than the fitness images.

    Args:
        run: of the search.
        problem: that it searches.
        mask: BEST's, ``bool[f]``.
        compensation: of the search; None for none.
        result: the RESULT; None where there is none, or it is BEST.

    Returns:
        The counts, None where there are none; and a sentence for the user, which may be empty, on why there are
        none or which split was taken. The problem's reporter hears the sentence too.
    """
    digest = None if result is None else result.model.digest()
    known = known_held_out(run.store, mask)
    if known is not None and known.result_digest == digest:
        return known, known.remark
    found, remark = None, ""
    try:
        images, remark = held_out_images(problem.options.data, problem.model, problem.reporter)
        if images is not None and known is not None and known.images_digest == images.digest():
            found = replace(known, result_correct=None, result_digest=digest)
        elif images is not None:
            found = _counted(images, problem, mask, compensation, remark)
        if images is not None and found is not None and result is not None:
            correct = measure(result.model, images, _batch(problem)).correct
            found = replace(found, result_correct=correct, result_digest=digest)
    except DataError as error:
        # The search is done and sound; its result must not hang on other images.
        remark = str(error)
    if found is None:
        remark = NO_ACCURACY + remark
    else:
        run.keep(NAME, (json.dumps(found.to_json(), indent=2) + "\n").encode())
    if remark:
        problem.reporter.message(remark)
    return found, remark


def _counted(
    images: ImageSet, problem: Problem, mask: np.ndarray, compensation: Compensation | None, remark: str
) -> HeldOut:
    """Count the unpruned network and BEST.

    Raises:
        DataError: an image cannot be read, or a network answers NaN or infinity.
    """
    facts = DataFacts.of(images, plain_doubts(problem.model, images))
    for warning in facts.warnings:
        problem.reporter.message(f"warning: {warning}")
    layout = problem.genome.layout
    evaluator = StreamedEvaluator(problem.model, layout, images, _batch(problem), compensation=compensation)
    original = KnownCount(problem.model, images)
    known = original.read()
    if known is None:
        base, best = evaluator.evaluate(np.stack([layout.full(), mask])).tolist()
    else:
        base, [best] = known, evaluator.evaluate(mask[None]).tolist()
    if min(base, best) < 0:
        raise DataError(f"the network answers NaN or infinity on the {images.split} split.")
    original.keep(base)
    total = len(images)
    accuracies = base / total, best / total
    remarks = tuple(images.remarks)
    return HeldOut(
        images.split,
        total,
        base,
        best,
        *accuracies,
        mask_sha256(mask),
        images_digest=images.digest(),
        remark=remark,
        warnings=facts.warnings,
        remarks=remarks,
    )


def _batch(problem: Problem) -> int:
    """Images of a batch: no more than in the search, so that no more memory is needed than it did."""
    return min(CPU_BATCH, max(_LEAST_BATCH, len(problem.images)))


def known_held_out(store: RunStore, mask: np.ndarray) -> HeldOut | None:
    """The kept counts, if they are of this mask; None where there are none, or the file is damaged."""
    try:
        known = msgspec.json.decode(store.read(NAME), type=HeldOut)
    except (OSError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if known.sha256 != mask_sha256(mask) or known.split not in HELD_OUT_SPLITS:
        return None
    counts = (known.original_correct, known.correct, known.result_correct or 0)
    sound = all(0 <= count <= known.total for count in counts)
    return known if sound else None
