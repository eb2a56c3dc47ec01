"""When a mask's count so far says enough: for certain, or up to a small probability of error.

Races: Maron and Moore, "Hoeffding races: accelerating model selection search for classification and function
approximation", NIPS 1994. Here each mask races against its own bar, the count that it needs. Images are seen
without replacement, where bounds are tighter (Serfling, "Probability inequalities for the sum in sampling
without replacement", Annals of Statistics 1974); the number right among those seen is then hypergeometric,
so the tail itself is taken and no bound on it.

The statistical rule supposes that images come in random order, drawn without regard to the masks. Whoever
calls with a risk above 0 has to see to that; files sorted by class would break it.
"""

import numpy as np
from scipy.stats import hypergeom

from engine.contracts import Target


def hopeless(correct: np.ndarray, seen: int, total: int, target: Target, tests: int) -> np.ndarray:
    """Which masks will not reach ``needed``: for certain, or with an error probability of ``risk`` at most.

    Certain is that a mask gains no more than the images that are left. Otherwise suppose that the mask would
    just reach ``needed`` (with a higher count, so few right so far are less probable still): it is hopeless
    if the probability of ``correct`` or fewer right is at most its risk, spread over all ``tests``.

    Args:
        correct: ``int64[m]``, right among the images seen.
        seen: images seen.
        total: images in all; a mask that has seen them all has a count and needs no bound.
        target: rows of the ``m`` masks.
        tests: how often, at most, this is asked about a mask in one evaluation.

    Returns:
        ``bool[m]``.
    """
    certain = correct + total - seen < target.needed
    rows = np.flatnonzero(~certain & (target.risk > 0))
    likely = certain.copy()
    likely[rows] = hypergeom.cdf(correct[rows], total, target.needed[rows], seen) <= target.risk[rows] / tests
    return likely


def risks(race: float, before: int, masks: int) -> np.ndarray:
    """``float64[masks]``: what each mask may risk when ``before`` masks were evaluated earlier.

    The j-th mask of a search (j = 1, 2, ...) gets ``race / (j (j + 1))``, which adds up to ``race`` however
    long the search becomes. The sum bounds the probability that any mask is stopped wrongly: until the first
    such mask, the search is the one without a race, whose masks and bars follow from whole counts and not
    from the order of the images.
    """
    number = np.arange(before + 1, before + masks + 1, dtype=np.float64)
    return race / (number * (number + 1))
