"""Which column of a table holds the images, and which the labels."""

from collections.abc import Collection, Mapping
from typing import Any

from engine.errors import DataError

_WORDS = {"string": "texts", "large_string": "texts", "bool": "true or false"}


def chosen_column(
    likely: Collection[str],
    possible: Collection[str],
    names: tuple[str, ...],
    kinds: Mapping[str, Any],
    missing: str,
) -> str:
    """The column with a usual name or, without one, the only likely one.

    Args:
        likely: columns that may be taken under any name.
        possible: columns that may be taken under a usual name.
        names: the usual names, the best first.
        kinds: Arrow's type of each column of the table.
        missing: the beginning of the sentence that refuses the table.

    Raises:
        DataError: there is no such column, or there are several.
    """
    for name in names:
        if name in possible:
            return name
    # A column with the usual name and the wrong type is a mistake, not a reason to take another column.
    wrong = [name for name in names if name in kinds]
    if len(likely) != 1 or wrong:
        found = f" ({wrong[0]} is of {_type_name(kinds[wrong[0]])})" if wrong else ""
        raise DataError(
            f"{missing} among {', '.join(kinds) or 'none'}{found}; name one {names[0]} with that type."
        )
    [only] = likely
    return only


def _type_name(kind: Any) -> str:
    """An Arrow type in a few words, as "texts" or "lists"."""
    text = str(kind)
    return "lists or records" if "<" in text else _WORDS.get(text, text)
