"""Reading architectures from JSON that may be damaged or not ours."""

from collections.abc import Mapping
from typing import Any

from models.errors import ArchitectureError


def checked_int(entry: Mapping[str, Any], key: str) -> int:
    """``entry[key]`` if it is an integer (a bool is not).

    Raises:
        ArchitectureError: it is missing or something else.
    """
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArchitectureError(f"'{key}' of an architecture must be an integer, not {value!r}.")
    return value


def checked_ints(entry: Mapping[str, Any], key: str) -> tuple[int, ...]:
    """``entry[key]`` if it is a list of integers, as a tuple.

    Raises:
        ArchitectureError: it is missing or something else.
    """
    values = entry.get(key)
    if not isinstance(values, list):
        raise ArchitectureError(f"'{key}' of an architecture must be a list of integers, not {values!r}.")
    return tuple(checked_int({key: value}, key) for value in values)
