"""The one command that repeats a search."""

import shlex
from dataclasses import asdict

import click

from experiments.presets import PAPER
from experiments.search_options import SearchOptions

NEW_RUN = "again"
"""Name of the run directory that the command makes."""


def search_command(options: SearchOptions, model_class: str | None = None) -> str:
    """``evoprune search`` with every option that a run does not share with the defaults, one a line.

    Follows from the command's own options, so that none can be forgotten. The backend is left out: it has no
    influence on results. ``model_class`` names the code of a network of one's own, which no options hold.
    """
    from experiments.commands.search import search

    flat = asdict(options)
    values = {**flat.pop("settings"), **flat.pop("data"), **flat, "model_class": model_class}
    # The paper's preset is that of the options' own defaults.
    lines = [f"evoprune search {NEW_RUN}", f"--preset {PAPER}"]
    for parameter in search.params:
        if not isinstance(parameter, click.Option) or parameter.name not in values:
            continue
        value = values[parameter.name]
        if value is None or (value == parameter.default and not parameter.required):
            continue
        if parameter.is_flag:
            lines.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            lines.append(shlex.join([parameter.opts[0], str(value)]))
    return " \\\n  ".join(lines)
