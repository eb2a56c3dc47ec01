"""Early stopping: which counts still matter, and when a mask will not reach them.

A full population takes a newcomer only if it scores more than the lowest individual, and BEST yields only to a
better mask. While the objective stays, neither bar falls. So a mask that misses both bars now will always miss
them: its evaluation may stop, and the search stays the same. Where a search is rescored by an objective that
reaches further (:meth:`engine.search.loop.Search.rescored`), a mask that was stopped before cannot return.

All islands share the archive, and another island may breed the same mask later. So a mask is held against the
lowest bar of all islands. A bar of its own island would stop it sooner, but each other island would have to
evaluate the mask again. Migration only ever raises a bar (:func:`engine.search.islands.ring`).

A race also stops a mask that will miss its bars with high probability: Maron and Moore, "Hoeffding races:
accelerating model selection search for classification and function approximation", NIPS 1994. Here each mask
races against the count that it needs. Images are seen without replacement, where bounds are tighter (Serfling,
"Probability inequalities for the sum in sampling without replacement", Annals of Statistics 1974). The number of
correct images among those seen is then hypergeometric, and its tail is computed exactly.

The race assumes that images come in random order, drawn independently of the masks. The caller must ensure this
if a risk is above 0; images sorted by class would break it.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import hypergeom

from engine.contracts import Objective, Target
from engine.search.best import outranks
from engine.search.settings import SearchSettings
from engine.search.state import SearchState


def target_for(
    state: SearchState, masks: np.ndarray, objective: Objective, settings: SearchSettings, total: int
) -> Target | None:
    """The target of new masks; None if every mask must be evaluated in full.

    Args:
        state: the state before the masks; its populations and BEST are the bars.
        masks: ``bool[n, f]``, none of them in the archive.
        objective: judges counts.
        settings: of the search.
        total: number of images that a mask is evaluated on.
    """
    smallest = min(len(island.population) for island in state.islands)
    if not settings.stop_early or not objective.monotone or smallest < settings.population_cap:
        return None
    needed = least_counts(state, masks, objective, total)
    return Target(needed, risks(settings.race, len(state.archive), len(masks)))


def least_counts(state: SearchState, masks: np.ndarray, objective: Objective, total: int) -> np.ndarray:
    """``int64[n]``: the fewest correct images with which each mask enters a population or becomes BEST.

    ``total + 1`` if no count suffices. All populations must be full and the objective monotone.
    """
    lowest = min(individual.score for individual in state.population)
    best = state.best.individual

    def matters(counts: np.ndarray) -> np.ndarray:
        appraisal = objective.appraise(masks, counts, state.original_correct)
        # BEST may be outside the population, because infeasible masks can outscore it.
        return (appraisal.score > lowest) | outranks(best, appraisal, counts)

    return fewest(matters, len(masks), total)


def target_within(
    state: SearchState, masks: np.ndarray, objective: Objective, settings: SearchSettings, total: int
) -> Target | None:
    """The target in a search for a front: the count that brings a mask within the limit or makes it BEST.

    A population full of masks within the limit (:mod:`engine.search.nsga2`) keeps out masks beyond the limit.
    Such a mask is on no front either. Among masks within the limit the count alone does not tell which survive.
    """
    smallest = min(len(island.population) for island in state.islands)
    beyond = any(individual.excess > 0 for individual in state.population)
    if not settings.stop_early or not objective.monotone or smallest < settings.population_cap or beyond:
        return None

    def matters(counts: np.ndarray) -> np.ndarray:
        appraisal = objective.appraise(masks, counts, state.original_correct)
        if appraisal.aims is None:
            return np.ones(len(masks), bool)
        return np.asarray((appraisal.aims.excess == 0) | appraisal.feasible)

    return Target(fewest(matters, len(masks), total), np.zeros(len(masks)))


def fewest(enough: Callable[[np.ndarray], np.ndarray], masks: int, total: int) -> np.ndarray:
    """``int64[masks]``: the least count, 0 to ``total``, that is enough for each mask; else ``total + 1``.

    ``enough`` maps a count for each mask, ``int64[masks]``, to ``bool[masks]`` and must be monotone in the
    counts.
    """
    # Bisection: all counts below ``low`` are too few; ``high`` is enough, or ``total + 1``.
    low, high = np.zeros(masks, np.int64), np.full(masks, total + 1, np.int64)
    while (low < high).any():
        middle = np.minimum((low + high) // 2, total)
        met = enough(middle)
        low, high = np.where(met, low, middle + 1), np.where(met, middle, high)
    return low


def hopeless(correct: np.ndarray, seen: int, total: int, target: Target, tests: int) -> np.ndarray:
    """Which masks will not reach their needed count, up to an error probability of their risk.

    For certain: a mask cannot gain more than the images that are left. Otherwise assume that the mask would just
    reach its needed count. The mask is hopeless if ``correct`` or fewer so far then have a probability of at most
    its risk, divided among all ``tests``. With a higher final count they would be less probable still.

    Args:
        correct: ``int64[m]``, correct images among those seen.
        seen: number of images seen, less than ``total``.
        total: number of all images.
        target: of the ``m`` masks.
        tests: most times that a mask is tested in one evaluation.

    Returns:
        ``bool[m]``.
    """
    certain = correct + total - seen < target.needed
    rows = np.flatnonzero(~certain & (target.risk > 0))
    likely = certain.copy()
    likely[rows] = hypergeom.cdf(correct[rows], total, target.needed[rows], seen) <= target.risk[rows] / tests
    return likely


def risks(race: float, before: int, masks: int) -> np.ndarray:
    """``float64[masks]``: the risk of each new mask, after ``before`` evaluated masks.

    The j-th mask of a search (j = 1, 2, ...) gets ``race / (j (j + 1))``. The risks of any number of masks sum to
    at most ``race``, which so bounds the probability that any mask is stopped wrongly: up to the first wrong stop
    the search equals the search without a race, whose masks and bars do not depend on the order of the images.
    """
    number = np.arange(before + 1, before + masks + 1, dtype=np.float64)
    return race / (number * (number + 1))
