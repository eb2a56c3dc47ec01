"""Presets of ``evoprune search``: option values by name; options that are given themselves win.

A preset is nothing but these values: ``run.json`` has what they set, and a run is resumed without it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click

from experiments.effects import is_given

PAPER = "paper"

# docs/search-quality.md has the measurements behind each value.
_SEARCH: Mapping[str, Any] = {"prune": "all", "climb": True, "mutate": "budget", "crossover": "layers"}
_ONE_MASK: Mapping[str, Any] = {"parents": 4, "population_cap": 4}
# A front has to fit into the population.
_FRONT: Mapping[str, Any] = {"population": 40, "parents": 8, "population_cap": 40}
_COMPENSATED: Mapping[str, Any] = {
    **_SEARCH,
    "compensate": "linear",
    "seed_with": "taylor-squared,reconstruction",
    "floor": "0,0.05,0.1,0.2",
    "population": 40,
}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Seed 003, Table 3.1: what the options default to themselves.
        PAPER: {},
        "masks": {**_SEARCH, "seed_with": "taylor-joint", "population": 8, **_ONE_MASK},
        "quality": {**_COMPENSATED, **_ONE_MASK},
        "front": {**_COMPENSATED, **_FRONT, "objectives": "accuracy,parameters,macs"},
    }
)
"""Preset -> option, as click knows it -> value."""


def usual_values(*, compensable: bool, front: bool) -> Mapping[str, Any]:
    """What a search has where no preset is named.

    Args:
        compensable: whether the network tells what reads its filters; without that there are masks alone.
        front: whether ``--objectives`` are given.
    """
    values = PRESETS["quality" if compensable else "masks"]
    return {**values, **_FRONT} if front else values


def filled(context: click.Context, options: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` with ``values`` for all that neither the command line nor ``--config`` gives."""
    return {
        name: values[name] if name in values and not is_given(context, name) else value
        for name, value in options.items()
    }
