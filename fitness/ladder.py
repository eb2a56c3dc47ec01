"""The largest removal along an order of filters that stays feasible, and the curve on the way.

Counts are not monotone along an order: a mask that removes more may get more images right. So no bisection finds
the largest feasible removal for certain, and trying all is too much. What is searched: first a ladder of
:data:`RUNGS` steps over the whole order, denser at its beginning; then, between the highest feasible rung and the
one above it, finer ladders, until the two differ by one filter. The answer is feasible, removing the next filter
of the order is not (unless none is left), and neither is any rung above. Each ladder is evaluated in one call, so
that its masks share what they can. A coarser search may be asked for.
"""

from dataclasses import dataclass

import numpy as np

from engine.contracts import Appraisal, Evaluator, Objective
from engine.evaluation import checked_counts, checked_original
from engine.layout import Layout
from fitness.ranking import masks_along

RUNGS = 24
FINER_RUNGS = 8


@dataclass(frozen=True)
class Ladder:
    """Masks along an order, by filters removed.

    ``removed``: ``int64[n]``, ascending from 0; ``masks``: ``bool[n, f]``; ``correct``: ``int64[n]``, or FAILED;
    ``best``: the row of the largest feasible removal that was found.
    """

    removed: np.ndarray
    masks: np.ndarray
    correct: np.ndarray
    appraisal: Appraisal
    best: int


def climb(
    order: np.ndarray,
    layout: Layout,
    evaluator: Evaluator,
    objective: Objective,
    *,
    rungs: int = RUNGS,
    finer: int = FINER_RUNGS,
    resolution: int = 1,
    multiple: int = 1,
) -> Ladder:
    """Find the largest feasible removal along ``order`` (:func:`fitness.ranking.removal_order`).

    Args:
        order: filters, the first to leave first.
        layout: of the filters.
        evaluator: counts.
        objective: says what is feasible.
        rungs: steps of the first ladder.
        finer: rungs between two of a finer ladder.
        resolution: filters by which the answer and the rung above it may still differ.
        multiple: of filters that each layer keeps, or all of them; widths are rounded up.

    Raises:
        EvaluationError: the unpruned network fails, or gets no image right.
    """
    counts: dict[int, int] = {}
    ascending = np.unique(np.rint(len(order) * np.linspace(0, 1, rungs + 1) ** 2).astype(np.int64))
    while len(ascending):
        found = checked_counts(evaluator, masks_along(order, ascending, layout, multiple))
        counts.update(zip(ascending.tolist(), found.tolist(), strict=True))
        ladder = _ladder(counts, order, layout, objective, multiple)
        low, high = ladder.removed[[ladder.best, min(ladder.best + 1, len(counts) - 1)]]
        if high - low <= resolution:
            break
        between = np.rint(np.linspace(low, high, finer + 2)).astype(np.int64)
        ascending = np.setdiff1d(between, ladder.removed)
    return ladder


def _ladder(
    counts: dict[int, int], order: np.ndarray, layout: Layout, objective: Objective, multiple: int
) -> Ladder:
    removed = np.array(sorted(counts), np.int64)
    correct = np.array([counts[rung] for rung in removed.tolist()], np.int64)
    masks = masks_along(order, removed, layout, multiple)
    appraisal = objective.appraise(masks, correct, checked_original(correct[0]))
    return Ladder(removed, masks, correct, appraisal, int(np.flatnonzero(appraisal.feasible)[-1]))
