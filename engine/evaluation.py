"""Asking an evaluator for counts, and holding it to its contract."""

import numpy as np

from engine.contracts import FAILED, STOPPED, Evaluator, Target
from engine.errors import EvaluationError


def checked_counts(evaluator: Evaluator, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
    """Evaluate, and hold the evaluator to its contract.

    Raises:
        EvaluationError: not one integer in range for each mask, or a mask stopped that had to be finished.
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
    """The count of the unpruned network, if drops can be measured against it.

    Raises:
        EvaluationError: it failed, gets no image right, or what was answered is no count.
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
            "check that --data, its normalisation and its classes are those of the model."
        )
    return int(correct)
