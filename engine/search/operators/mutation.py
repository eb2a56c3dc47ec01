"""Mutations by name.

With several mutations, each offspring undergoes a random number of them. Offspring that cannot matter, such as
copies of known masks, are drawn again instead of evaluated.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from engine.errors import OptionError
from engine.layout import Layout
from engine.options import named_once
from engine.search.operators.guide import Guide, move_budget

Mutation = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""Masks ``bool[n, f]`` -> masks of the same shape, row by row."""

MOST_MUTATIONS = 3
"""Most mutations of one offspring."""

ATTEMPTS = 10
"""Most draws of one offspring; the last draw is evaluated in any case."""


def flip_bits(rng: np.random.Generator, masks: np.ndarray, probability: float) -> np.ndarray:
    """Flip each bit of ``bool[n, f]`` with the given probability, from keep to remove and back."""
    return masks ^ (rng.random(masks.shape) < probability)


class NamedMutation(NamedTuple):
    """What a name in ``mutate`` stands for.

    Attributes:
        function: takes a random generator, masks and, by name, what it ``needs``.
        needs: of ``probability``, ``layout`` and ``guide``.
        help: what it does, for the option's help text.
    """

    function: Callable[..., np.ndarray]
    needs: tuple[str, ...]
    help: str

    @property
    def guided(self) -> bool:
        """Whether it follows importances."""
        return "guide" in self.needs


BITS = "bits"
"""The mutation of the thesis: each bit flips with the same small probability."""

MUTATIONS: Mapping[str, NamedMutation] = {
    BITS: NamedMutation(flip_bits, ("probability",), "is that of the thesis"),
    "budget": NamedMutation(
        move_budget,
        ("layout", "guide"),
        "removes filters of one layer and returns some to another, by importances",
    ),
}


def mutation(text: str, probability: float, layout: Layout, guide: Guide | None) -> Mutation:
    """One mutation from a list such as ``bits,budget``; ``probability`` is that of ``bits``.

    Raises:
        OptionError: a mutation needs a guide and there is none.
    """
    names = named_mutations(text)
    given = {"probability": probability, "layout": layout, "guide": guide}
    made: list[Mutation] = []
    for name in names:
        chosen = MUTATIONS[name]
        if chosen.guided and guide is None:
            raise OptionError(f"`mutate` {name} needs importances to go by; name some with `seed_with`.")
        made.append(partial(chosen.function, **{needed: given[needed] for needed in chosen.needs}))
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
