"""The operators of a search, in a DEAP toolbox: each works on a whole generation at once."""

from collections.abc import Callable

from deap import base, tools

from engine.layout import Layout
from engine.search import islands, nsga2
from engine.search.individual import Individual
from engine.search.operators import population
from engine.search.operators.crossover import crossover
from engine.search.operators.guide import Guide
from engine.search.operators.mutation import mutation
from engine.search.operators.rounding import round_widths
from engine.search.settings import SearchSettings


def make_toolbox(
    settings: SearchSettings, layout: Layout, guide: Guide | None = None, *, front: bool = False
) -> base.Toolbox:
    """The operators that the settings ask for; replace an operator by registering another under its name.

    Every operator works on one island, except ``migrate``, which takes the populations of all islands and returns
    the arrivals of each. ``mate`` moves columns between rows, whatever their type
    (:mod:`engine.search.ancestry`). A custom ``survive`` switches early stopping off.

    Args:
        settings: of the search.
        layout: of the masks.
        guide: orders of the filters for guided mutations.
        front: whether NSGA-II (:mod:`engine.search.nsga2`) selects parents, survivors and migrants.

    Raises:
        OptionError: a guided mutation without a guide.
    """
    toolbox = base.Toolbox()
    toolbox.register(
        "initialise",
        population.near_original,
        layout=layout,
        count=settings.population,
        largest_removal=settings.initial_removal,
    )
    toolbox.register("select", nsga2.select if front else population.fittest, k=settings.parents)
    toolbox.register("pair", population.PAIRINGS[settings.pairing])
    toolbox.register("mate", crossover(settings.crossover, layout))
    toolbox.register("mutate", mutation(settings.mutate, settings.mutation, layout, guide))
    toolbox.register("repair", population.revive_empty_layers, layout=layout)
    toolbox.register("round", round_widths, layout=layout, multiple=settings.round_to)
    toolbox.register("survive", nsga2.survive if front else tools.selBest, k=settings.population_cap)
    toolbox.register("migrate", nsga2.ring if front else islands.ring, migrants=settings.migrants)
    return toolbox


def best_survive(toolbox: base.Toolbox, cap: int) -> bool:
    """Whether survivor selection keeps the ``cap`` highest scores, as early stopping assumes."""
    return _survive_by(toolbox, tools.selBest, cap)


def front_survives(toolbox: base.Toolbox, cap: int) -> bool:
    """Whether survivor selection keeps ``cap`` masks by NSGA-II, as early stopping in a front search assumes."""
    return _survive_by(toolbox, nsga2.survive, cap)


def _survive_by(toolbox: base.Toolbox, operator: Callable[..., list[Individual]], cap: int) -> bool:
    survive = toolbox.survive
    return getattr(survive, "func", None) is operator and bool(survive.keywords == {"k": cap})
