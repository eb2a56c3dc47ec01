"""Crossovers by name: two parents become two recombinations and two copies."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from engine.layout import Layout

Crossover = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]
"""Parents ``bool[k, f]`` and pairs ``int[p, 2]`` -> offspring; see :func:`single_point_crossover`."""


def single_point_crossover(rng: np.random.Generator, parents: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Two recombinations and two copies for each pair (section 3.3.3 of the thesis).

    Args:
        rng: draws one cut for each pair, with a bit on either side.
        parents: ``bool[k, f]``, or another dtype.
        pairs: ``int[p, 2]``, rows of ``parents``.

    Returns:
        ``[4 * p, f]`` of the same dtype: for each pair head A + tail B, head B + tail A, A, B.
    """
    first, second = parents[pairs[:, 0]], parents[pairs[:, 1]]
    filters = parents.shape[1]
    cuts = rng.integers(1, max(2, filters), size=(len(pairs), 1))
    head = np.arange(filters) < cuts
    children = [np.where(head, first, second), np.where(head, second, first), first, second]
    return np.stack(children, axis=1).reshape(-1, filters)


def uniform_by_layer(
    rng: np.random.Generator, parents: np.ndarray, pairs: np.ndarray, layout: Layout
) -> np.ndarray:
    """Two recombinations and two copies for each pair, in the order of :func:`single_point_crossover`.

    Each layer of one child comes from either parent with equal chance, and that of the other child from the other
    parent.
    """
    first, second = parents[pairs[:, 0]], parents[pairs[:, 1]]
    chosen = np.repeat(rng.random((len(pairs), len(layout.sizes))) < 0.5, layout.sizes, axis=1)
    children = [np.where(chosen, first, second), np.where(chosen, second, first), first, second]
    return np.stack(children, axis=1).reshape(-1, parents.shape[1])


CROSSOVERS: Mapping[str, Callable[..., np.ndarray]] = {
    "point": single_point_crossover,
    "layers": uniform_by_layer,
}
"""``point`` is the crossover of the thesis; every other crossover takes the layout."""


def crossover(name: str, layout: Layout) -> Crossover:
    """The named crossover, for the toolbox."""
    return CROSSOVERS[name] if name == "point" else partial(CROSSOVERS[name], layout=layout)
