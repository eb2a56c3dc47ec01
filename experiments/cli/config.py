"""``--config``: options from a TOML file."""

import tomllib
from pathlib import Path

import click
import cloup

from experiments.cli.options import Command


def config_option(command: Command) -> Command:
    """``--config``."""
    return cloup.option(
        "--config",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=read_config,
        help='TOML file with options of this command (data = "cifar10"). The command line wins.',
    )(command)


def read_config(context: click.Context, option: click.Parameter, path: str | None) -> None:
    """Take defaults from a TOML file whose keys are the command's option names; the command line wins.

    Raises:
        click.BadParameter: unreadable, not TOML, or with a key that is no option of this command.
    """
    if path is None:
        return
    try:
        entries = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
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
        flag = isinstance(kind, click.types.BoolParamType)
        if not isinstance(value, str) and flag != isinstance(value, bool):
            wanted = "true or false" if flag else "a text or a number"
            raise click.BadParameter(f"{path} gives {key!r} the value {value!r}; give {wanted}.")
        if known[name] in defaults:
            raise click.BadParameter(f"{path} gives {key!r} twice, in two spellings; give it once.")
        # Lists of one number may be written as a number.
        defaults[known[name]] = value if number or flag else str(value)
    context.default_map = {**(context.default_map or {}), **defaults}
