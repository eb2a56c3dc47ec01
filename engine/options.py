"""Options: each settings dataclass states the default, the help and the choices of its fields once.

The command line is made from these fields (:mod:`experiments.cli.options`). Messages name a field in backquotes,
as in ```parents` must be 2 or more, not 1.``; the command line turns the name into the option's spelling.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, field, fields
from typing import Any, TypeVar

from engine.errors import OptionError

Options = TypeVar("Options")


def option(default: Any, help: str, *, choices: Iterable[str] = (), metavar: str | None = None) -> Any:
    """A dataclass field that a user can set.

    Args:
        default: value of the field if the user gives none.
        help: one sentence for the option's help text.
        choices: the allowed values of a text field; empty allows any value.
        metavar: stands for the value in the help text, in place of the field's type.
    """
    return field(default=default, metadata={"help": help, "choices": tuple(choices), "metavar": metavar})


def same_option(owner: type, name: str) -> Any:
    """The option that another dataclass has, as a field of the same name."""
    [found] = (each for each in fields(owner) if each.name == name)
    return field(default=found.default, metadata=found.metadata)


def check_choices(options: Any) -> None:
    """Refuse a field whose value is not one of its choices.

    Raises:
        OptionError: names the field and its choices.
    """
    for each in fields(options):
        choices, value = each.metadata.get("choices"), getattr(options, each.name)
        if choices and value not in choices:
            raise OptionError(f"`{each.name}` must be one of {', '.join(choices)}, not {value!r}.")


def named_once(text: str, name: str, known: Collection[str], kind: str) -> tuple[str, ...]:
    """Split a list of names such as ``taylor,magnitude``.

    Args:
        text: the names, joined by commas.
        name: the field that holds the list.
        known: the allowed names.
        kind: what a name stands for, such as ``mutation``.

    Raises:
        OptionError: a name is unknown or appears twice.
    """
    names = tuple(each.strip() for each in text.split(","))
    for each in names:
        if each not in known:
            raise OptionError(
                f"`{name}` {each!r} is not known; choose from {', '.join(known)}, joined by commas."
            )
        if names.count(each) > 1:
            raise OptionError(f"`{name}` names {each} twice; name each {kind} once.")
    return names


def read_options(kind: type[Options], entry: Any) -> Options:
    """Build an options dataclass from the JSON object that ``dataclasses.asdict`` gave.

    Raises:
        OptionError: a key is missing or unknown, or a value has the wrong type or is out of its range.
    """
    # Ray workers import this module and do without the package.
    import msgspec

    try:
        found = msgspec.convert(entry, kind)
    except msgspec.ValidationError as error:
        raise OptionError(f"the recorded {kind.__name__} do not fit this version ({error}).") from error
    odd = sorted(set(_names(entry)) ^ set(_names(asdict(found))))  # type: ignore[call-overload]
    if odd:
        raise OptionError(f"the recorded {kind.__name__} do not fit this version ({', '.join(odd)}).")
    return found


def _names(entry: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a JSON object and of the objects in it."""
    for name, value in entry.items():
        yield name
        if isinstance(value, Mapping):
            yield from _names(value)
