"""Choosing among the candidates of a search: the order in which they are refitted and judged."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from engine.contracts import Objective
from engine.layout import Layout
from engine.search.front import non_dominated
from engine.search.state import SearchState

MOST = 8
"""Candidates that are judged at most."""

MOST_BETWEEN = 3
"""Masks between two candidates that are judged at most."""

_BETWEEN = 64
"""Masks between two candidates from which the judged ones are taken."""

_AT_ONCE = 4096


class Candidates(NamedTuple):
    """Masks that no other mask surpasses in accuracy and in the run's goal, the largest drop of the goal first.

    ``masks``: ``bool[k, f]``; ``accuracy_drops``: ``float64[k]``, percent, without a refit, falling.
    """

    masks: np.ndarray
    accuracy_drops: np.ndarray


def candidates(state: SearchState, layout: Layout, objective: Objective, goal: str) -> Candidates:
    """The candidates of a search, without the mask that removes nothing.

    Args:
        state: of the search.
        layout: of its masks.
        objective: whose appraisal has the figures ``accuracy_drop`` and ``goal``, in percent.
        goal: the figure that is to be large.
    """
    packed, counts = state.archive.to_arrays()
    rows = np.flatnonzero(counts >= 0)
    drops, goals = [np.zeros(0)], [np.zeros(0)]
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        figures = objective.appraise(layout.unpack(packed[part]), counts[part], state.original_correct).figures
        drops.append(figures["accuracy_drop"])
        goals.append(figures[goal])
    drop, gained = np.concatenate(drops), np.concatenate(goals)
    kept = np.flatnonzero(non_dominated(np.stack([-drop, gained], axis=1)) & (gained > 0))
    kept = kept[np.argsort(-gained[kept], kind="stable")]
    return Candidates(layout.unpack(packed[rows[kept]]), drop[kept])


def first_that_holds(
    drops: Sequence[float], threshold: float, reach: float, judge: Callable[[int], float], most: int = MOST
) -> int | None:
    """The first place, of those judged, whose candidate loses less than ``threshold`` once it is judged.

    This bisection assumes that a larger drop before the refit means a larger drop after it. It begins at the
    candidate that ``reach`` asks for. The next one is the candidate that would just hold if the refit gave back
    as much as it gave back for the last one, and every third one halves what is left.

    Args:
        drops: accuracy drop of each candidate before it is judged, percent, falling.
        threshold: percent.
        reach: the drop before that is expected to end at the threshold, percent.
        judge: the drop after, percent, of the candidate in a place; inf if it has none.
        most: candidates that are judged.
    """
    low, high, found = 0, len(drops), None
    aim = reach
    for tried in range(most):
        if low == high:
            break
        place = next((place for place in range(low, high) if drops[place] < aim), high - 1)
        if tried % 3 == 2:
            place = (low + high) // 2
        after = judge(place)
        if after < threshold:
            high = found = place
        else:
            low = place + 1
        aim = threshold + drops[place] - after
    return found


def between(found: Candidates, failed: int, held: np.ndarray) -> np.ndarray:
    """Masks between a candidate that loses too much and a mask that holds: ``bool[k, f]``.

    Filters that ``held`` keeps come back to the candidate, more and more of them. Filters that more of all
    candidates keep come back first.

    Args:
        found: all candidates.
        failed: place of the candidate.
        held: ``bool[f]``.
    """
    mask = found.masks[failed]
    back = np.flatnonzero(held & ~mask)
    back = back[np.argsort(-found.masks.sum(axis=0)[back], kind="stable")]
    counts = np.unique(np.linspace(0, len(back), _BETWEEN + 1).round().astype(int))[1:]
    masks = np.repeat(mask[None], len(counts), axis=0)
    for row, count in zip(masks, counts, strict=True):
        row[back[:count]] = True
    return masks


def halving(goals: Sequence[float], judge: Callable[[int], bool], most: int = MOST_BETWEEN) -> int | None:
    """The first place, of those judged, that ``judge`` holds; each judgement halves the range of goals.

    ``goals`` fall. Every place behind one that holds is expected to hold.
    """
    low, high, found = 0, len(goals), None
    for _ in range(most):
        if low == high:
            break
        middle = (goals[low] + goals[high - 1]) / 2
        place = min(range(low, high), key=lambda place: abs(goals[place] - middle))
        if judge(place):
            high = found = place
        else:
            low = place + 1
    return found
