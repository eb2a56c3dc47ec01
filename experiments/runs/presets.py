"""Presets of ``evoprune search``: option values by name; options that are given themselves win.

``run.json`` records the values, not the name of the preset, and a run is resumed without it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from models.compensation.method import RECALIBRATE

PAPER = "paper"
USUAL = "quality"
"""The preset of a search that names none, if its network can be compensated."""

# docs/operators.md has the measurements behind each value.
_SEARCH: Mapping[str, Any] = {
    "prune": "all",
    "climb": True,
    "mutate": "budget",
    "crossover": "layers",
    "finish": True,
}
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
        # The thesis, Table 3.1, which the options themselves default to.
        PAPER: {},
        "masks": {**_SEARCH, "seed_with": "taylor-joint", "population": 8, **_ONE_MASK},
        USUAL: {**_COMPENSATED, **_ONE_MASK},
        "front": {**_COMPENSATED, **_FRONT, "objectives": "accuracy,parameters,macs"},
    }
)
"""Preset -> field of SearchOptions or SearchSettings -> value; with batch norm, see :func:`with_batch_norm`."""


def with_batch_norm(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values for a network with batch norm: statistics are measured behind compensated weights."""
    compensate = values.get("compensate")
    return values if compensate is None else {**values, "compensate": f"{compensate}+{RECALIBRATE}"}


def usual_values(*, compensable: bool, front: bool) -> Mapping[str, Any]:
    """The values of a search for which no preset is named.

    Args:
        compensable: whether any weights are known that read filters of the network. If not, the search changes
            no weights and uses the preset ``masks``.
        front: whether the search is for a front.
    """
    values = PRESETS[USUAL if compensable else "masks"]
    return {**values, **_FRONT} if front else values
