"""Tables for pages and terminals, and links that stay inside the folder of a Markdown page."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

import numpy as np
from tabulate import tabulate


def markdown_table(rows: Sequence[Sequence[str]], *, align_right: bool = False) -> str:
    """A Markdown table, padded so that the source reads as plain text too; the first row is the header.

    Args:
        rows: texts, as many in each row.
        align_right: whether all columns but the first are aligned to the right.
    """
    header, *body = [[one_line(cell).replace("|", r"\|") for cell in row] for row in rows]
    align = ["left", *["right" if align_right else "left"] * (len(header) - 1)]
    return tabulate(body, headers=header, tablefmt="pipe", colalign=align, disable_numparse=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table of texts for a terminal: the first column aligned to the left, the others to the right."""
    align = ["left", *["right"] * (len(header) - 1)]
    return tabulate(rows, headers=header, tablefmt="simple", colalign=align, disable_numparse=True)


def spread(numbers: Sequence[float], digits: int = 2) -> str:
    """Numbers of several seeds as one cell: ``median (lowest to highest)``; one number alone, none as a dash."""
    if not numbers:
        return "-"
    median = f"{np.median(numbers):.{digits}f}"
    if len(numbers) == 1:
        return median
    return f"{median} ({min(numbers):.{digits}f} to {max(numbers):.{digits}f})"


def one_line(text: str) -> str:
    """Fold line breaks and runs of blanks, which would break a heading or a table row."""
    return " ".join(text.split())


def link(name: str) -> str:
    """Return ``name`` as the target of a Markdown link.

    Raises:
        ValueError: ``name`` is not a relative file name inside the folder of the page.
    """
    path = PurePosixPath(name)
    # A report is moved and shared with its folder: links may not reach outside it.
    if not path.name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise ValueError(f"a figure must be a relative file name inside the report's folder, got {name!r}")
    return quote(name)
