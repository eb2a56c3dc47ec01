"""Options that were given and could do nothing: a user who is not told believes that they did."""

from collections.abc import Iterable
from typing import NamedTuple

import click
from click.core import ParameterSource


class Effect(NamedTuple):
    """``option``, as click knows it, has an effect if ``present``, and else none ``where``."""

    option: str
    present: bool
    where: str


def check_effects(context: click.Context, effects: Iterable[Effect]) -> None:
    """Refuse options without effect that the command line or ``--config`` gives.

    Raises:
        click.UsageError: the first of them, and why.
    """
    for option, present, where in effects:
        if not present and is_given(context, option):
            name = "--" + option.replace("_", "-")
            raise click.UsageError(f"{name} has no effect {where}; change that, or leave {name} out.")


def is_given(context: click.Context, option: str) -> bool:
    """Whether the user gave an option, in whatever way."""
    return context.get_parameter_source(option) is not ParameterSource.DEFAULT
