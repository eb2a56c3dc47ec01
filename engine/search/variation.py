"""Mutations and crossovers by name, and what a search beyond the thesis does with them.

With several mutations, each offspring undergoes a random number of them. Offspring that cannot matter, such as
copies of known masks, are drawn again instead of evaluated.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from engine.errors import OptionError
from engine.layout import Layout
from engine.options import named_once
from engine.search.guide import Guide, move_budget
from engine.search.operators import flip_bits, single_point_crossover

Mutation = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""Masks ``bool[n, f]`` -> masks of the same shape, row by row."""

Crossover = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]
"""Parents ``bool[k, f]`` and pairs ``int[p, 2]`` -> offspring; see :func:`single_point_crossover`."""

MOST_MUTATIONS = 3
"""Most mutations of one offspring."""

ATTEMPTS = 10
"""Most draws of one offspring; the last draw is evaluated in any case."""


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


BITS = "bits"
"""The mutation of the thesis: each bit flips with the same small probability."""

GUIDED: Mapping[str, Callable[..., np.ndarray]] = {"budget": move_budget}
"""Mutations that need a guide."""

MUTATIONS = (BITS, *GUIDED)

CROSSOVERS: Mapping[str, Callable[..., np.ndarray]] = {
    "point": single_point_crossover,
    "layers": uniform_by_layer,
}
"""``point`` is the crossover of the thesis; every other crossover takes the layout."""


def crossover(name: str, layout: Layout) -> Crossover:
    """The named crossover, for the toolbox."""
    return CROSSOVERS[name] if name == "point" else partial(CROSSOVERS[name], layout=layout)


def mutation(text: str, probability: float, layout: Layout, guide: Guide | None) -> Mutation:
    """One mutation from a list such as ``bits,budget``; ``probability`` is that of ``bits``.

    Raises:
        OptionError: a mutation needs a guide and there is none.
    """
    made: list[Mutation] = []
    names = named_mutations(text)
    for name in names:
        if name == BITS:
            made.append(partial(flip_bits, probability=probability))
        elif guide is None:
            raise OptionError(f"`mutate` {name} needs importances to go by; name some with `seed_with`.")
        else:
            made.append(partial(GUIDED[name], layout=layout, guide=guide))
    return made[0] if names == (BITS,) else partial(mixed, mutations=made)


def named_mutations(text: str) -> tuple[str, ...]:
    """The names in a list such as ``bits,budget``.

    Raises:
        OptionError: a name is unknown or appears twice.
    """
    return named_once(text, "mutate", MUTATIONS, "mutation")


def mixed(rng: np.random.Generator, masks: np.ndarray, mutations: Sequence[Mutation]) -> np.ndarray:
    """``bool[n, f]``: each mask undergoes another random mutation as long as a coin falls heads.

    Half of the rows stay as crossover made them; :func:`redrawn` replaces those that are copies of parents.
    """
    changed = masks.copy()
    going = np.arange(len(masks))
    for _ in range(MOST_MUTATIONS):
        going = going[rng.random(len(going)) < 0.5]
        drawn = rng.integers(len(mutations), size=len(going))
        for number, mutation in enumerate(mutations):
            rows = going[drawn == number]
            if len(rows):
                changed[rows] = mutation(rng, changed[rows])
    return changed


def redrawn(
    masks: np.ndarray,
    draw: Callable[[np.ndarray], np.ndarray],
    pointless: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """``bool[n, f]``: the masks, with new draws in place of pointless ones and of repetitions.

    Args:
        masks: the first draw.
        draw: row numbers ``int[m]`` -> new masks for these rows.
        pointless: ``bool[n, f]`` -> ``bool[n]``; need not find repetitions among the masks.
    """
    masks = masks.copy()
    for _ in range(ATTEMPTS):
        again = pointless(masks)
        _, first = np.unique(np.packbits(masks, axis=1), axis=0, return_index=True)
        again |= ~np.isin(np.arange(len(masks)), first)
        rows = np.flatnonzero(again)
        if len(rows) == 0:
            break
        masks[rows] = draw(rows)
    return masks
