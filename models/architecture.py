"""What the families share: scaled widths, and reading architectures from JSON that may be damaged."""

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


def checked_shape(entry: Mapping[str, Any]) -> tuple[int, int, int]:
    """``entry["input_shape"]`` if it is a list of three integers.

    Raises:
        ArchitectureError: it is missing or something else.
    """
    shape = checked_ints(entry, "input_shape")
    if len(shape) != 3:
        raise ArchitectureError(f"'input_shape' of an architecture must hold three integers, not {list(shape)}.")
    return shape[0], shape[1], shape[2]


def checked_rate(entry: Mapping[str, Any], key: str) -> float:
    """``entry[key]`` if it is a dropout rate: a number of at least 0 and below 1.

    Raises:
        ArchitectureError: it is missing or something else.
    """
    value = entry.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise ArchitectureError(f"'{key}' of an architecture must be at least 0 and below 1, not {value!r}.")
    return float(value)


def scaled(widths: tuple[int, ...], multiplier: float) -> tuple[int, ...]:
    """Widths times ``multiplier``, rounded, at least 1."""
    return tuple(max(1, round(width * multiplier)) for width in widths)


def scaled_dropout(rate: float, multiplier: float) -> float:
    """A narrow network has little to spare: dropout shrinks with the width, and does not grow with it."""
    return round(rate * min(1.0, multiplier), 4)
