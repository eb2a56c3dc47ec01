"""Several mutations in one search: a chain of one to three of them for each mask, drawn at random."""

from collections.abc import Callable, Sequence

import numpy as np

Mutation = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""Masks ``bool[n, f]`` -> masks of that shape, row by row."""

LONGEST = 3


def mixed(rng: np.random.Generator, masks: np.ndarray, mutations: Sequence[Mutation]) -> np.ndarray:
    """``bool[n, f]``: each row is changed by one mutation, half of them by another, a quarter by a third."""
    changed = masks.copy()
    going = np.arange(len(masks))
    for _ in range(LONGEST):
        drawn = rng.integers(len(mutations), size=len(going))
        for number, mutation in enumerate(mutations):
            rows = going[drawn == number]
            if len(rows):
                changed[rows] = mutation(rng, changed[rows])
        going = going[rng.random(len(going)) < 0.5]
    return changed
