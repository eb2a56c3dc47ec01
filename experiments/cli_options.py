"""Options that several commands share, and option files."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from experiments.effects import Effect, check_effects

Command = TypeVar("Command", bound=Callable[..., Any])


class LocalDirectory(click.Path):
    """A directory on this machine; a URL, which would quietly become an odd path, is refused."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """See :class:`click.ParamType`."""
        if "://" in str(value):
            self.fail(f"{value} is a URL; only run directories can be at URLs, give a local directory.")
        return super().convert(value, parameter, context)


class Seconds(click.ParamType):
    """A number of seconds, which may be left out at the end of the command line."""

    name = "seconds"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """See :class:`click.ParamType`."""
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"{value!r} is no number of seconds; without one, give --watch last.", parameter, context)
        if not 0.1 <= seconds < float("inf"):
            self.fail(f"{value} s cannot be; give 0.1 or more.", parameter, context)
        return seconds


MODEL_DIRECTORY = LocalDirectory()
FILE = click.Path(path_type=Path)


def read_config(context: click.Context, option: click.Parameter, path: str | None) -> None:
    """Take defaults from a TOML file whose keys are the command's option names; the command line wins.

    Raises:
        click.BadParameter: unreadable, not TOML, or with a key that is no option of this command.
    """
    if path is None:
        return
    try:
        entries = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise click.BadParameter(f"cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise click.BadParameter(f"{path} is not TOML: {error}.") from error
    known: dict[str, str] = {}
    for parameter in context.command.params:
        if isinstance(parameter, click.Option) and parameter.name not in (option.name, "help", "as_json"):
            for name in parameter.opts:
                known[name.lstrip("-")] = str(parameter.name)
    types = {str(parameter.name): parameter.type for parameter in context.command.params}
    defaults = {}
    for key, value in entries.items():
        name = key.replace("_", "-")
        if name not in known:
            options = ", ".join(sorted(known))
            raise click.BadParameter(f"{path} has the unknown option {key!r}; known are {options}.")
        if not isinstance(value, str | int | float | bool):
            raise click.BadParameter(f"{path} gives {key!r} a {type(value).__name__}; give a single value.")
        kind = types[known[name]]
        whole = isinstance(kind, click.types.IntParamType)
        number = whole or isinstance(kind, click.types.FloatParamType)
        if number and (isinstance(value, bool) or (whole and isinstance(value, float))):
            raise click.BadParameter(f"{path} gives {key!r} the value {value!r}; give a number that fits.")
        defaults[known[name]] = value
    context.default_map = {**(context.default_map or {}), **defaults}


def config_option(command: Command) -> Command:
    """``--config``."""
    return click.option(
        "--config",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=read_config,
        help='TOML file with options of this command (data = "cifar10"); the command line wins.',
    )(command)


def json_option(command: Command) -> Command:
    """``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output."
    )(command)


def watch_option(every: float) -> Callable[[Command], Command]:
    """``--watch``, looking ``every`` so many seconds unless it says another number."""
    return click.option(
        "--watch",
        type=Seconds(),
        is_flag=False,
        flag_value=every,
        metavar="[SECONDS]",
        help=f"Look again every SECONDS ({every:g}) until the run is complete.",
    )


def precision_option(command: Command) -> Command:
    """``--precision``."""
    return click.option(
        "--precision",
        type=click.Choice(["float32", "bfloat16", "auto"]),
        default="auto",
        show_default=True,
        help="Type that masks are evaluated in; auto takes bfloat16 on a GPU. What it changes is said.",
    )(command)


def objective_options(command: Command) -> Command:
    """``--objective`` and ``--latency-batch``."""
    options = [
        click.option(
            "--objective",
            type=click.Choice(["parameters", "macs", "latency"]),
            default="parameters",
            show_default=True,
            help="What BEST is to drop most of: parameters, MACs, or the time that layers take on this device, "
            "from a table that is measured first.",
        ),
        click.option(
            "--latency-batch",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Images at a time for which --objective latency measures.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def compensation_options(command: Command) -> Command:
    """``--compensate`` and ``--compensation-images``."""
    options = [
        click.option(
            "--compensate",
            type=click.Choice(["none", "mean", "merge", "linear"]),
            default="none",
            show_default=True,
            help="How kept filters make up for removed ones, without retraining: by their mean, by the most "
            "telling kept filter, or by linear regression on all of them.",
        ),
        click.option(
            "--compensation-images",
            type=click.IntRange(min=1),
            default=1500,
            show_default=True,
            help="Images of the train split that --compensate learns averages from, at most.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def data_options(default_split: str) -> Callable[[Command], Command]:
    """``--data``, ``--data-dir``, ``--split`` and ``--images``."""

    def decorate(command: Command) -> Command:
        options = [
            click.option(
                "--data",
                required=True,
                help="digits, cifar10, fashion_mnist, svhn, or parquet:PATH, imagefolder:PATH, npz:PATH, "
                "vehiclex:PATH.",
            ),
            click.option(
                "--data-dir",
                envvar="EVOPRUNE_DATA_DIR",
                help="Folder with the named data set's parquet files; without it they come from the hub.",
            ),
            click.option("--split", default=default_split, show_default=True, help="Split to use."),
            click.option(
                "--images",
                type=click.IntRange(min=1),
                help="A seeded random subset of this many images; all if not given.",
            ),
        ]
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def load_model_class(context: click.Context, option: click.Parameter, name: str | None) -> str | None:
    """Import what ``--model-class`` names: only what the user names here is ever imported."""
    if name is not None and not context.resilient_parsing:
        from models.dependency import factories

        factories.load(name)
    return name


def model_class_option(*, exposed: bool = False) -> Callable[[Command], Command]:
    """``--model-class``; ``exposed`` to a command that makes a network, not to one that reads it."""
    return click.option(
        "--model-class",
        metavar="MODULE:FACTORY",
        callback=load_model_class,
        expose_value=exposed,
        help="Your own Flax NNX network, package.module:factory; its code is run (docs/own-networks.md).",
    )


def backend_options(command: Command) -> Command:
    """``--backend`` and what Ray workers run on."""
    options = [
        click.option(
            "--backend",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Evaluate in this process, or on Ray workers. Results are the same.",
        ),
        click.option(
            "--address",
            help="Ray cluster to join: auto or HOST:PORT on a machine of it, ray://HOST:10001 elsewhere.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            default=2,
            show_default=True,
            help="Ray workers, as many as there is room for.",
        ),
        click.option(
            "--cpus-per-worker",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Cores of each.",
        ),
        click.option(
            "--gpus-per-worker",
            type=click.FloatRange(min=0),
            default=0.0,
            show_default=True,
            help="GPUs of each; a fraction shares one.",
        ),
        click.option(
            "--task-timeout",
            type=click.FloatRange(min=0, min_open=True),
            help="Seconds after which a worker that does not answer is replaced; follows the tasks if not given.",
        ),
        click.option(
            "--runtime-env",
            metavar="FILE",
            help="JSON or YAML file with the Ray runtime environment of a cluster's workers, which then replaces "
            "the one that ships this code and installs what the nodes lack.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def print_result(result: dict[str, Any], as_json: bool, lines: list[str]) -> None:
    """The result of a command: one JSON object, or lines for people."""
    click.echo(json.dumps(result, allow_nan=False) if as_json else "\n".join(lines))


def numbers(context: click.Context, option: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """Comma-separated numbers."""
    if value is None:
        return None
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list of numbers; write them as 0.49,0.48,0.45.") from error


def taken(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Remove and return some options."""
    return {name: options.pop(name) for name in names}


def chosen_backend(context: click.Context, options: dict[str, Any]) -> Any:
    """Remove what :func:`backend_options` gave; the :class:`experiments.search_options.Backend` it names.

    Raises:
        click.UsageError: options of Ray's without ``--backend ray``.
    """
    from engine.pool_options import PoolOptions
    from experiments.search_options import Backend

    name = options.pop("backend")
    names = ("address", "workers", "cpus_per_worker", "gpus_per_worker", "task_timeout", "runtime_env")
    check_effects(context, (Effect(each, name == "ray", "without --backend ray") for each in names))
    pool = taken(options, *names)
    return Backend(name, PoolOptions(**pool))
