"""What the mutations share: amounts from a heavy tail, and the first filters of an order."""

import numpy as np

EXPONENT = 1.5
"""Of the power law; Doerr et al. recommend it."""


def heavy_tailed(rng: np.random.Generator, largest: np.ndarray) -> np.ndarray:
    """``int64[n]``: amounts from 1 to ``largest``, ``int[n]``; 0 where that is 0.

    By a power law: mostly small, now and then large, with no rate to tune or adapt. Doerr, Le, Makhmara and
    Nguyen, "Fast genetic algorithms", GECCO 2017, arXiv:1703.03334.
    """
    tail = 1 - EXPONENT
    share = rng.random(len(largest)) * (1 - (largest + 1.0) ** tail)
    return np.minimum(((1 - share) ** (1 / tail)).astype(np.int64), largest)


def lowest(keys: np.ndarray, eligible: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """``bool[n, f]``: in each row the eligible filters with the ``counts``, ``int[n]``, lowest keys."""
    order = np.argsort(np.where(eligible, keys, np.inf), axis=1, kind="stable")
    chosen = np.zeros(eligible.shape, bool)
    np.put_along_axis(chosen, order, np.arange(eligible.shape[1]) < counts[:, None], axis=1)
    return chosen & eligible
