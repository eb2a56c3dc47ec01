"""Presets of ``evoprune search``: option values by name; options that are given themselves win.

A preset is nothing but these values: ``run.json`` has what they set, and a run is resumed without it.
"""

from collections.abc import Mapping
from typing import Any

import click

DEFAULT = "paper"

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Seed 003, Table 3.1: what the options default to themselves.
    "paper": {},
    # docs/search-quality.md has the measurements behind each value.
    "quality": {
        "prune": "all",
        "compensate": "linear",
        "seed_with": "taylor-squared,reconstruction",
        "floor": "0,0.05,0.1,0.2",
        "climb": True,
        "mutate": "budget",
        "crossover": "layers",
        "population": 40,
        "parents": 4,
        "population_cap": 4,
    },
}
"""Preset -> option, as click knows it -> value."""


def take_preset(context: click.Context, option: click.Parameter, name: str) -> str:
    """Let the preset's values be the defaults of the command; those of ``--config`` win over them."""
    context.default_map = {**PRESETS[name], **(context.default_map or {})}
    return name
