"""The count that an offspring needs in order to matter, where only the best survive.

A full population keeps its members unless a newcomer scores more than the lowest (ties go to the member),
and BEST yields to what is better only. Neither bar ever falls, so a mask that misses both now will miss them
whenever it appears again: its evaluation may stop for good, and the search goes on as if it had not.

Islands share the archive, and a mask that one has bred another may breed later. So it is held against the
lowest bar of all islands: it then misses every bar, now and later, whoever breeds it. Against its own island's
bar it might stop sooner, but other islands would have to ask anew whether it matters to them, and evaluate it
again if it does. Migrants only ever raise a bar (:func:`engine.islands.ring`).
"""

from collections.abc import Callable

import numpy as np

from engine.config import SearchSettings
from engine.contracts import Objective, Target
from engine.racing import risks
from engine.state import SearchState


def target_for(
    state: SearchState, masks: np.ndarray, objective: Objective, settings: SearchSettings, total: int
) -> Target | None:
    """The target of masks that were never seen; None where nothing may be stopped.

    Args:
        state: whose populations and BEST the masks have to outdo, and whose archive they will join.
        masks: ``bool[n, f]``.
        objective: judges counts.
        settings: of the search.
        total: images that a mask is evaluated on.
    """
    smallest = min(len(island.population) for island in state.islands)
    if not settings.stop_early or not objective.monotone or smallest < settings.population_cap:
        return None
    needed = least_counts(state, masks, objective, total)
    return Target(needed, risks(settings.race, len(state.archive), len(masks)))


def least_counts(state: SearchState, masks: np.ndarray, objective: Objective, total: int) -> np.ndarray:
    """``int64[n]``: the fewest correct images with which each mask would enter any full population or be BEST.

    ``total + 1`` where no count would do. For a monotone objective.
    """
    lowest = min(individual.score for individual in state.population)
    best = state.best.individual

    def matters(counts: np.ndarray) -> np.ndarray:
        appraisal = objective.appraise(masks, counts, state.original_correct)
        level = (appraisal.score == best.score) & (counts > best.correct)
        # BEST may stand outside the population: what is not feasible can outscore it.
        becomes_best = appraisal.feasible & ((appraisal.score > best.score) | level)
        return (appraisal.score > lowest) | becomes_best

    return fewest(matters, len(masks), total)


def target_within(
    state: SearchState, masks: np.ndarray, objective: Objective, settings: SearchSettings, total: int
) -> Target | None:
    """The target in a search for a front (:mod:`engine.nsga2`): to come within the limit, or else to become BEST.

    Once a population is full of masks within the limit it stays so, and has no place for one beyond, which is on
    no front either. That is certain; what a mask within the limit is worth, its count alone does not say.
    """
    crowd = [len(island.population) for island in state.islands]
    beyond = any(individual.excess > 0 for individual in state.population)
    if not settings.stop_early or not objective.monotone or min(crowd) < settings.population_cap or beyond:
        return None

    def matters(counts: np.ndarray) -> np.ndarray:
        appraisal = objective.appraise(masks, counts, state.original_correct)
        if appraisal.aims is None:
            return np.ones(len(masks), bool)
        return np.asarray((appraisal.aims.excess == 0) | appraisal.feasible)

    return Target(fewest(matters, len(masks), total), np.zeros(len(masks)))


def fewest(enough: Callable[[np.ndarray], np.ndarray], masks: int, total: int) -> np.ndarray:
    """``int64[masks]``: the least count, 0 to ``total``, that is enough for each mask; else ``total + 1``.

    By bisection: ``enough`` takes a count for each mask, ``int64[masks]``, and what one count meets, every higher
    one does.
    """
    # All counts below ``low`` are too few; ``high`` is enough, or one more than there are. Rows whose two have
    # met stay as they are while others go on.
    low, high = np.zeros(masks, np.int64), np.full(masks, total + 1, np.int64)
    while (low < high).any():
        middle = np.minimum((low + high) // 2, total)
        met = enough(middle)
        low, high = np.where(met, low, middle + 1), np.where(met, middle, high)
    return low
