"""Several mutations in one search: for each mask a chain of none to three of them, drawn at random."""

from collections.abc import Callable, Sequence

import numpy as np

Mutation = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""Masks ``bool[n, f]`` -> masks of that shape, row by row."""

LONGEST = 3


def mixed(rng: np.random.Generator, masks: np.ndarray, mutations: Sequence[Mutation]) -> np.ndarray:
    """``bool[n, f]``: each row is changed by as many mutations as a coin falls heads in a row.

    Half of the rows stay as crossover made them; copies of parents are drawn anew (:mod:`engine.screening`).
    """
    changed = masks.copy()
    going = np.arange(len(masks))
    for _ in range(LONGEST):
        going = going[rng.random(len(going)) < 0.5]
        drawn = rng.integers(len(mutations), size=len(going))
        for number, mutation in enumerate(mutations):
            rows = going[drawn == number]
            if len(rows):
                changed[rows] = mutation(rng, changed[rows])
    return changed
