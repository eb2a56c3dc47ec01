"""The command that repeats a search."""

import shlex
from dataclasses import fields
from typing import Any

from engine.search.settings import SearchSettings
from experiments.data.options import DataOptions
from experiments.runs.options import SearchOptions
from experiments.runs.presets import PAPER
from experiments.spelling import option_name, spelling_of

NEW_RUN = "again"
"""Name of the run directory in the command."""


def search_command(options: SearchOptions, model_class: str | None = None) -> str:
    """``evoprune search`` with every option in which a run differs from the defaults, one option a line.

    The options are the fields of the settings dataclasses, so that none can be forgotten. The backend is left
    out: it has no influence on results. ``model_class`` names the code of the user's own network.
    """
    # The preset `paper` is that of the dataclasses' own defaults.
    lines = [f"evoprune search {NEW_RUN}", f"{option_name('preset')} {PAPER}"]
    if model_class is not None:
        lines.append(shlex.join([option_name("model_class"), model_class]))
    # The search's seed is that of the data too, so that a field of that name is written once.
    written: dict[str, str] = {}
    parts: list[tuple[type, Any]] = [
        (SearchOptions, options),
        (DataOptions, options.data),
        (SearchSettings, options.settings),
    ]
    for owner, part in parts:
        for field in fields(owner):
            value = getattr(part, field.name)
            if field.metadata and value != field.default:
                written[field.name] = _option(field, value)
    return " \\\n  ".join([*lines, *written.values()])


def _option(field: Any, value: Any) -> str:
    positive, negative = spelling_of(field, flag=isinstance(value, bool))
    if isinstance(value, bool):
        return positive if value else str(negative)
    return shlex.join([positive, str(value)])
