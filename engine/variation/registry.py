"""Names of mutations and crossovers, and the toolbox's functions made from them."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from engine.errors import OptionError
from engine.guide import Guide
from engine.layout import Layout
from engine.operators import flip_bits, single_point_crossover
from engine.option_lists import named_once
from engine.variation.budget import move_budget
from engine.variation.layer_crossover import uniform_by_layer
from engine.variation.mixture import Mutation, mixed

BITS = "bits"
"""The paper's mutation: each bit with the same small probability."""

GUIDED: Mapping[str, Callable[..., np.ndarray]] = {"budget": move_budget}
"""Mutations that need a guide."""

MUTATIONS = (BITS, *GUIDED)

CROSSOVERS: Mapping[str, Callable[..., np.ndarray]] = {
    "point": single_point_crossover,
    "layers": uniform_by_layer,
}
"""``--crossover`` value -> operator; all but the paper's, which is the first, take the layout."""


def named_mutations(text: str) -> tuple[str, ...]:
    """The names in a list such as ``bits,budget``.

    Raises:
        OptionError: one is unknown or named twice.
    """
    return named_once(text, "--mutate", MUTATIONS, "mutation")


def is_guided(text: str) -> bool:
    """Whether one of the mutations in a list needs a guide."""
    return any(name in GUIDED for name in named_mutations(text))


def mutation(text: str, probability: float, layout: Layout, guide: Guide | None) -> Mutation:
    """What a list of mutations does to masks; ``probability`` is that of ``bits``.

    Raises:
        OptionError: one needs a guide and there is none.
    """
    made: list[Mutation] = []
    for name in named_mutations(text):
        if name == BITS:
            made.append(partial(flip_bits, probability=probability))
        elif guide is None:
            raise OptionError(f"--mutate {name} needs importances to go by; name some with --seed-with.")
        else:
            made.append(partial(GUIDED[name], layout=layout, guide=guide))
    return made[0] if text == BITS else partial(mixed, mutations=made)


def crossover(name: str, layout: Layout) -> Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]:
    """A crossover for the toolbox."""
    return CROSSOVERS[name] if name == "point" else partial(CROSSOVERS[name], layout=layout)
