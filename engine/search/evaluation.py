"""Asking an evaluator for counts: every answer is checked, and no mask is evaluated twice."""

from collections.abc import Callable

import numpy as np

from engine.contracts import FAILED, STOPPED, Evaluator, Target
from engine.errors import EvaluationError
from engine.search.archive import Archive


class ArchivedEvaluator:
    """An evaluator that evaluates new masks in full and adds their counts to an archive.

    ``on_new`` receives the archive after each call that evaluated anything.
    """

    def __init__(self, evaluator: Evaluator, archive: Archive, on_new: Callable[[Archive], None]):
        self.total = evaluator.total
        self._evaluator = evaluator
        self._archive = archive
        self._on_new = on_new

    def evaluate(self, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
        """See :class:`engine.contracts.Evaluator`; ignores the target."""
        before = len(self._archive)
        correct = counted(self._evaluator, self._archive, masks)
        if len(self._archive) > before:
            self._on_new(self._archive)
        return correct


def counted(
    evaluator: Evaluator,
    archive: Archive,
    masks: np.ndarray,
    target_of: Callable[[np.ndarray], Target | None] = lambda masks: None,
) -> np.ndarray:
    """``int64[n]``: counts of ``bool[n, f]``. New masks are evaluated and join the archive.

    ``target_of`` returns the target of the new masks; without a target every new mask is evaluated in full.
    """
    fresh = archive.missing(masks)
    if len(fresh):
        archive.add(fresh, checked_counts(evaluator, fresh, target_of(fresh)))
    return archive.look_up(masks)


def checked_counts(evaluator: Evaluator, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
    """``int64[n]``: what the evaluator answers, if the answer keeps the evaluator's contract.

    Raises:
        EvaluationError: the answer is not one integer in range for each mask, or a mask was stopped without
            leave.
    """
    counts = np.asarray(evaluator.evaluate(masks) if target is None else evaluator.evaluate(masks, target))
    if counts.shape != (len(masks),) or not np.issubdtype(counts.dtype, np.integer):
        raise EvaluationError(
            f"the evaluator must answer int64[{len(masks)}], not {counts.dtype}{list(counts.shape)}."
        )
    stopped = counts == STOPPED
    if stopped.any() and (target is None or (target.needed[stopped] <= 0).any()):
        raise EvaluationError(
            f"the evaluator stopped a mask ({STOPPED}) that it was not allowed to stop; it may do so only where "
            "a target says that the mask needs more images than it can get right."
        )
    if counts.min() < STOPPED or counts.max() > evaluator.total:
        raise EvaluationError(
            f"the evaluator answered counts from {counts.min()} to {counts.max()}; they must lie in 0 to "
            f"{evaluator.total}, or be {FAILED} for a failed mask."
        )
    return counts.astype(np.int64)


def checked_original(correct: int) -> int:
    """The count of the unpruned network, if drops can be measured against the count.

    Raises:
        EvaluationError: the network failed or gets no image right, or ``correct`` is no count.
    """
    if not isinstance(correct, int | np.integer) or correct < FAILED:
        raise EvaluationError(
            f"the evaluator answered {correct} for the unpruned network, which is no count of correct images; "
            "it must evaluate this network on all of them."
        )
    if correct == FAILED:
        raise EvaluationError(
            "the unpruned network answers NaN or infinity on the images; train or import it anew."
        )
    if correct == 0:
        raise EvaluationError(
            "the unpruned network gets none of the images right, so no drop can be measured; "
            "check that `data`, its normalisation and its classes are those of the model."
        )
    return int(correct)
