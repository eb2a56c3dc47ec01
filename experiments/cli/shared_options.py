"""Options that several commands share."""

from functools import wraps
from typing import Any

import click
import cloup

from experiments.cli import standard_output
from experiments.cli.options import Command, Decorator, options_of, together
from experiments.cli.parameter_types import Seconds
from experiments.data.options import DataOptions


def json_option(command: Command) -> Command:
    """``--json``; in either form, the command's result alone goes to standard output."""

    @wraps(command)
    def alone(*arguments: Any, **options: Any) -> Any:
        with standard_output.reserved():
            return command(*arguments, **options)

    decorate: Any = cloup.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output."
    )
    return decorate(alone)


def watch_option(every: float) -> Decorator:
    """``--watch``, which looks every ``every`` seconds unless another number is given."""
    return cloup.option(
        "--watch",
        type=Seconds(),
        is_flag=False,
        flag_value=every,
        metavar="[SECONDS]",
        help=f"Look again every SECONDS ({every:g}) until the run is complete.",
    )


def data_options(
    split: str = "train", *, seed: bool = True, matching: bool = True, labels: bool = True
) -> Decorator:
    """``--data``, ``--data-dir``, ``--split``, ``--images`` and, where they have a meaning, the others.

    ``seed``: False where other options have one. ``matching``: False where the data decides the classes.
    ``labels``: False where a network learns from the labels.
    """
    there = {"seed": seed, "match_labels": matching, "labels": labels}
    absent = [name for name, wanted in there.items() if not wanted]
    return options_of(DataOptions, without=absent, defaults={"split": split})


def moved_options(command: Command) -> Command:
    """``--model`` and ``--data-dir`` of the commands that open a run."""
    return together(
        cloup.option("--model", metavar="DIR", help="Where the run's model is now, if it moved."),
        cloup.option("--data-dir", metavar="DIR", help="Where the run's data is now, if it moved."),
    )(command)


def load_model_class(context: click.Context, option: click.Parameter, name: str | None) -> str | None:
    """Import the module that ``--model-class`` names: only code that the user names is ever imported."""
    if name is not None and not context.resilient_parsing:
        from models.tracing import factories

        factories.load(name)
    return name


def model_class_option(*, exposed: bool = False) -> Decorator:
    """``--model-class``; ``exposed`` to a command that makes a network, not to one that reads a network."""
    return cloup.option(
        "--model-class",
        metavar="MODULE:FACTORY",
        callback=load_model_class,
        expose_value=exposed,
        help="Your own Flax NNX network, package.module:factory. Its code is run (docs/own-networks.md).",
    )


def sensitivity_option(command: Command) -> Command:
    """``--track-sensitivity``."""
    return cloup.option(
        "--track-sensitivity",
        is_flag=True,
        help="Also gather Karnin's sensitivity of each weight, into sensitivity.safetensors of the model "
        "directory. The training stays the same.",
    )(command)


def backend_options(command: Command) -> Command:
    """``--backend``, the memory for carries and the options of Ray's workers."""
    from engine.cluster.options import PoolOptions
    from experiments.runs.options import Backend

    pool = ("address", "workers", "cpus_per_worker", "gpus_per_worker", "task_timeout", "runtime_env")
    decorate: Any = together(
        options_of(Backend, only=["name", "keep_memory"], renamed={"name": "backend"}),
        options_of(PoolOptions, only=pool),
    )
    return decorate(command)
