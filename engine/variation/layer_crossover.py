"""Crossover that leaves layers whole: what filters of one layer are worth depends on each other."""

import numpy as np

from engine.layout import Layout


def uniform_by_layer(
    rng: np.random.Generator, parents: np.ndarray, pairs: np.ndarray, layout: Layout
) -> np.ndarray:
    """Two recombinations and two copies for each pair, as :func:`engine.operators.single_point_crossover`.

    Each layer comes from either parent with the same chance, in the other child from the other parent.
    """
    return _children(parents, pairs, rng.random((len(pairs), len(layout.sizes))) < 0.5, layout)


def at_layer_borders(
    rng: np.random.Generator, parents: np.ndarray, pairs: np.ndarray, layout: Layout
) -> np.ndarray:
    """The same with one cut for each pair, between two layers."""
    layers = len(layout.sizes)
    cuts = rng.integers(1, max(2, layers), size=(len(pairs), 1))
    return _children(parents, pairs, np.arange(layers) < cuts, layout)


def _children(parents: np.ndarray, pairs: np.ndarray, from_first: np.ndarray, layout: Layout) -> np.ndarray:
    first, second = parents[pairs[:, 0]], parents[pairs[:, 1]]
    chosen = np.repeat(from_first, layout.sizes, axis=1)
    children = [np.where(chosen, first, second), np.where(chosen, second, first), first, second]
    return np.stack(children, axis=1).reshape(-1, parents.shape[1])
