"""Operators of the thesis beside crossover and mutation: initial population, parents, pairs and repair.

DEAP's own operators loop in Python over single bits; for thousands of filters this costs more than the rest of
the engine. All random numbers come from the generator that is passed in.
"""

import numpy as np
from deap import tools

from engine.layout import Layout
from engine.search.individual import Individual


def near_original(rng: np.random.Generator, layout: Layout, count: int, largest_removal: float) -> np.ndarray:
    """The initial population: ``bool[count, f]``; the first row keeps every filter.

    Row *i* loses each filter with probability ``largest_removal * i / (count - 1)``. The thesis asks for
    individuals close to the original and leaves the distance open; this ladder covers a range of distances.
    """
    removal = np.linspace(0.0, largest_removal, count) if count > 1 else np.zeros(1)
    masks = rng.random((count, layout.n_filters)) >= removal[:, None]
    masks[0] = True
    return revive_empty_layers(rng, layout, masks)


def fittest(rng: np.random.Generator, population: list[Individual], k: int) -> list[Individual]:
    """The ``k`` individuals of the highest scores, best first; draws nothing from ``rng``."""
    best: list[Individual] = tools.selBest(population, k)
    return best


def adjacent_pairs(parents: int) -> np.ndarray:
    """``int64[parents // 2, 2]``: first with second, third with fourth. An odd last parent has no partner."""
    return np.arange(parents - parents % 2).reshape(-1, 2)


def all_pairs(parents: int) -> np.ndarray:
    """``int64[parents * (parents - 1) / 2, 2]``: every parent with every other."""
    return np.stack(np.triu_indices(parents, k=1), axis=-1)


PAIRINGS = {"adjacent": adjacent_pairs, "all": all_pairs}
"""Number of parents -> pairs of rows."""


def revive_empty_layers(rng: np.random.Generator, layout: Layout, masks: np.ndarray) -> np.ndarray:
    """Return one random filter to every layer that lost all its filters."""
    rows, layers = np.nonzero(layout.empties(masks))
    if len(rows) == 0:
        return masks
    revived = masks.copy()
    sizes = np.asarray(layout.sizes)[layers]
    revived[rows, layout.offsets[layers] + rng.integers(sizes)] = True
    return revived
