"""Presets of ``evoprune search``: option values by name; options that are given themselves win.

``run.json`` records the values, not the name of the preset, and a run is resumed without it.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.errors import OptionError
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
"""Preset -> field of SearchOptions or SearchSettings -> value; with batch norm, see :func:`preset_values`."""


def preset_values(name: str | None, model: str, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The values of a preset, fitted to a network.

    With batch norm, statistics are measured behind compensated weights. A network whose weights cannot be
    compensated gets the preset ``masks`` where no preset is named.

    Args:
        name: of the preset; None takes the one that suits the network.
        model: its model directory, which is read where the values depend on the network.
        given: options that the user gives, by field.

    Returns:
        Option values by field, and what the network lacks for them, as a sentence; empty if nothing.

    Raises:
        OptionError: there is no such preset.
        StoreError, NetworkError: the model cannot be read.
    """
    from models.compensation.recalibration import has_norms
    from models.model_directory import load_blank

    if name is not None and name not in PRESETS:
        raise OptionError(f"`preset` {name!r} is none of {', '.join(PRESETS)}.")
    if name is not None and ("compensate" not in PRESETS[name] or "compensate" in given):
        return PRESETS[name], ""
    network = load_blank(Path(model))
    if name is None:
        compensable = any(stage.readers() for stage in network.stages)
        values = usual_values(compensable=compensable, front=given.get("objectives") is not None)
    else:
        values = PRESETS[name]
    compensate = values.get("compensate")
    if compensate is None or "compensate" in given:
        return values, ""
    if has_norms(network):
        return {**values, "compensate": f"{compensate}+{RECALIBRATE}"}, ""
    return values, (
        f"{network.architecture.name} has no batch norm that could be recalibrated, so masks are compensated by "
        f"{compensate} alone."
    )


def usual_values(*, compensable: bool, front: bool) -> Mapping[str, Any]:
    """The values of a search for which no preset is named.

    Args:
        compensable: whether any weights are known that read filters of the network. If not, the search changes
            no weights and uses the preset ``masks``.
        front: whether the search is for a front.
    """
    values = PRESETS[USUAL if compensable else "masks"]
    return {**values, **_FRONT} if front else values
