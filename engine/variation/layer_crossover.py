"""Crossover that leaves layers whole: what filters of one layer are worth depends on each other."""

import numpy as np

from engine.layout import Layout


def uniform_by_layer(
    rng: np.random.Generator, parents: np.ndarray, pairs: np.ndarray, layout: Layout
) -> np.ndarray:
    """Two recombinations and two copies for each pair, as :func:`engine.operators.single_point_crossover`.

    Each layer comes from either parent with the same chance, in the other child from the other parent.
    """
    first, second = parents[pairs[:, 0]], parents[pairs[:, 1]]
    chosen = np.repeat(rng.random((len(pairs), len(layout.sizes))) < 0.5, layout.sizes, axis=1)
    children = [np.where(chosen, first, second), np.where(chosen, second, first), first, second]
    return np.stack(children, axis=1).reshape(-1, parents.shape[1])
