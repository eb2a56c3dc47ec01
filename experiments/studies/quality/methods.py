"""The methods of the protocol: presets, single operators, rankings without a search, and blind searches."""

from collections.abc import Mapping
from typing import Any

from engine.search.operators.crossover import CROSSOVERS
from engine.search.operators.mutation import BITS, MUTATIONS
from experiments.baselines.methods import SEARCHES
from experiments.data.options import DataOptions
from experiments.runs.options import SearchOptions
from experiments.runs.presets import PAPER, PRESETS

_SEEDED = {"prune": "all", "seed_with": "taylor-squared"}
_FLOORS = {"floor": "0,0.05,0.1,0.2"}

GENETIC: Mapping[str, Mapping[str, Any]] = {
    PAPER: PRESETS[PAPER],
    "seeds": _SEEDED,
    "floors": {**_SEEDED, **_FLOORS},
    "climb": {**_SEEDED, **_FLOORS, "climb": True},
    **{f"mutate-{name}": {**_SEEDED, "mutate": name} for name in MUTATIONS if name != BITS},
    **{f"crossover-{name}": {**_SEEDED, "crossover": name} for name in CROSSOVERS if name != "point"},
    "masks": PRESETS["masks"],
    "quality": PRESETS["quality"],
}
"""Method -> option values, as in a preset. ``seeds`` is what each operator alone is added to."""

RANKINGS: Mapping[str, tuple[str, float]] = {
    "ranking": ("taylor-squared", 0.0),
    "ranking-floor": ("taylor-squared", 0.1),
    "ranking-reconstruction": ("reconstruction", 0.0),
}
"""Method -> importance and floor: the largest step of one order that is feasible, no search."""

METHODS = (*GENETIC, *RANKINGS, *SEARCHES)


def genetic_options(
    method: str,
    model: str,
    data: DataOptions,
    *,
    seed: int,
    threshold: float,
    compensate: str,
    evaluations: int,
    objective: str = "parameters",
) -> SearchOptions:
    """The options of a search of :data:`GENETIC`; the protocol's compensation takes the place of a preset's."""
    return SearchOptions.of_values(
        model,
        data,
        GENETIC[method],
        seed=seed,
        # As many generations as evaluations are never needed: most generations evaluate several masks.
        generations=evaluations,
        threshold=threshold,
        compensate=compensate,
        objective=objective,
        # All methods are compared by BEST, which a finish leaves behind for RESULT.
        finish=False,
    )
