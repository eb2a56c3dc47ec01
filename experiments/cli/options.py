"""Click options made from the fields of settings dataclasses, and dataclasses built from the values of options.

Default, help and choices of an option are those of its field. An option only parses its value; the range is
checked by the dataclass, whose error names the field.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, fields
from functools import reduce
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click
import cloup

from experiments.cli.parameter_types import MODEL_DIRECTORY, NUMBERS
from experiments.spelling import Spelling, option_name, spelled, spelling_of

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]
T = TypeVar("T")

_TYPES: Mapping[Any, Any] = {int: int, float: float, str: str, Path: MODEL_DIRECTORY, tuple[float, ...]: NUMBERS}
_ENVIRONMENT = {"data_dir": "EVOPRUNE_DATA_DIR"}


def options_of(
    owner: type,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
    helps: Mapping[str, str] | None = None,
    renamed: Mapping[str, str] | None = None,
    remarks: Mapping[str, str] | None = None,
) -> Decorator:
    """A decorator that adds an option for each field that has a help text, in the order of the fields.

    Args:
        owner: the settings dataclass.
        only: names of the fields to take, in this order; all if None.
        without: names of fields to leave out.
        defaults: field -> default, where the command has another one than the dataclass.
        helps: field -> help, where the command means something else than the dataclass.
        renamed: field -> name of the option, where the field's own name would not say enough.
        remarks: field -> text to put behind the help.
    """
    known = {field.name: field for field in fields(owner) if "help" in field.metadata}
    types, renamed = get_type_hints(owner), renamed or {}
    made = []
    for name in known if only is None else only:
        if name in without:
            continue
        field = known[name]
        default = (defaults or {}).get(name, field.default)
        text = (helps or {}).get(name, field.metadata["help"]) + (remarks or {}).get(name, "")
        made.append(_option(field, types[name], default, text, renamed.get(name, name)))
    return together(*made)


def together(*decorators: Decorator) -> Decorator:
    """One decorator for several; help shows their options in this order."""
    return lambda command: reduce(lambda inner, decorate: decorate(inner), reversed(decorators), command)


def _option(field: Field[Any], annotation: Any, default: Any, text: str, name: str) -> Decorator:
    kind, choices = _kind(annotation)
    choices = tuple(field.metadata.get("choices") or choices)
    spelling = spelling_of(field, flag=kind is bool)
    if name != field.name:
        spelling = Spelling(option_name(name), spelling.negative)
    declared = spelling.positive if spelling.negative is None else f"{spelling.positive}/{spelling.negative}"
    attributes: dict[str, Any] = {"help": spelled(text, {})}
    if default is MISSING:
        attributes["required"] = True
    else:
        attributes |= {"default": default, "show_default": default is not None}
    if kind is not bool:
        attributes["type"] = _TYPES[kind]
        named = f"[{'|'.join(choices)}]" if choices else None
        attributes["metavar"] = field.metadata.get("metavar") or named
    return cloup.option(declared, name, envvar=_ENVIRONMENT.get(name), **attributes)


def _kind(annotation: Any) -> tuple[Any, tuple[str, ...]]:
    """The type of the values behind ``annotation``, without None, and the values of a ``Literal``."""
    if get_origin(annotation) is Literal:
        return str, get_args(annotation)
    if annotation in _TYPES or annotation is bool:
        return annotation, ()
    [kind] = (part for part in get_args(annotation) if part is not NoneType)
    return _kind(kind)


def built(owner: type[T], values: Mapping[str, Any], **others: Any) -> T:
    """Build the dataclass from the ``values`` named like its fields; ``others`` win over them.

    Raises:
        EvopruneError, NetworkError: a value out of its range.
    """
    names = {field.name for field in fields(owner)}  # type: ignore[arg-type]
    return owner(**{**{name: value for name, value in values.items() if name in names}, **others})


def spellings(command: click.Command | None) -> dict[str, Spelling]:
    """How the options of a command are written, by the name of the field that each sets."""
    parameters = [] if command is None else command.params
    return {
        str(option.name): Spelling(max(option.opts, key=len), next(iter(option.secondary_opts), None))
        for option in parameters
        if isinstance(option, click.Option)
    }


def spelled_for(context: click.Context | None, sentence: str) -> str:
    """The sentence with its fields written as options of the command that runs."""
    return spelled(sentence, spellings(None if context is None else context.command))
