"""The largest removal along an order of filters that stays feasible, and the curve on the way.

Counts are not monotone along an order: a mask that removes more filters may get more images right. So bisection
may miss the largest feasible removal, and trying all removals costs too much. The search begins with a ladder
of :data:`RUNGS` steps over the whole order, denser at its beginning. Finer ladders follow between the highest
feasible rung and the rung above, until the two differ by one filter or by the resolution asked for. The result is
feasible; the next rung is not, and neither is any higher one. Each ladder is evaluated in one call.
"""

from dataclasses import dataclass

import numpy as np

from engine.contracts import Appraisal, Evaluator, Objective
from engine.layout import Layout
from engine.search.evaluation import checked_original
from fitness.seeding.ranking import masks_along

RUNGS = 24
FINER_RUNGS = 8


@dataclass(frozen=True)
class Ladder:
    """Masks along an order, by filters removed.

    ``removed``: ``int64[n]``, ascending from 0; ``masks``: ``bool[n, f]``; ``correct``: ``int64[n]``, or FAILED;
    ``best``: the row of the largest feasible removal.
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
    """Find the largest feasible removal along ``order`` (:func:`fitness.seeding.ranking.removal_order`).

    Args:
        order: filters in the order in which they leave.
        layout: of the filters.
        evaluator: counts correct images.
        objective: decides which masks are feasible.
        rungs: steps of the first ladder.
        finer: rungs of a finer ladder, without its two ends.
        resolution: filters by which the result and the rung above may differ.
        multiple: each layer keeps a multiple of this number of filters, or all; widths are rounded up.

    Raises:
        EvaluationError: the unpruned network fails or gets no image right.
    """
    counts: dict[int, int] = {}
    ascending = np.unique(np.rint(len(order) * np.linspace(0, 1, rungs + 1) ** 2).astype(np.int64))
    while len(ascending):
        found = evaluator.evaluate(masks_along(order, ascending, layout, multiple))
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
