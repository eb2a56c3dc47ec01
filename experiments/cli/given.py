"""Which options the user gave, and refusal of options that would have no effect.

Without a refusal, a user believes that every given option had its effect.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from experiments.cli.options import built, spellings


def is_given(context: click.Context, option: str) -> bool:
    """Whether the user gave an option: on the command line, in a file, or in the environment."""
    return context.get_parameter_source(option) is not ParameterSource.DEFAULT


def given(context: click.Context) -> dict[str, Any]:
    """The options that the user gave, with their values."""
    return {name: value for name, value in context.params.items() if is_given(context, name)}


class Effect(NamedTuple):
    """``option``, a parameter's name, has an effect if ``present``; otherwise ``where`` says why not."""

    option: str
    present: bool
    where: str


def check_effects(context: click.Context, effects: Iterable[Effect]) -> None:
    """Refuse given options that have no effect.

    Raises:
        click.UsageError: names the first of them, and the reason.
    """
    for option, present, where in effects:
        if not present and is_given(context, option):
            name = spellings(context.command)[option].positive
            raise click.UsageError(f"{name} has no effect {where}; change that, or leave {name} out.")


def compensation_effects(method: str) -> list[Effect]:
    """The options that have an effect with some values of ``--compensate`` alone."""
    from models.compensation.method import RECALIBRATE, recalibrates

    without = f"with --compensate {method}" if method == RECALIBRATE else "without --compensate"
    return [
        Effect("compensation_images", method not in ("none", RECALIBRATE), without),
        Effect("calibration_images", recalibrates(method), "without recalibrate in --compensate"),
    ]


def chosen_backend(context: click.Context) -> Any:
    """The :class:`experiments.runs.options.Backend` that the options name.

    Raises:
        click.UsageError: options of Ray's workers are given without ``--backend ray``.
        OptionError: a value out of its range.
    """
    from engine.cluster.options import PoolOptions
    from experiments.runs.options import Backend

    name = context.params["backend"]
    names = ("address", "workers", "cpus_per_worker", "gpus_per_worker", "task_timeout", "runtime_env")
    check_effects(context, (Effect(each, name == "ray", "without --backend ray") for each in names))
    return Backend(name, built(PoolOptions, context.params), context.params["keep_memory"])
