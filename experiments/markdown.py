"""Pieces of Markdown pages: tables, and links that stay inside the page's folder."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote


def markdown_table(rows: Sequence[Sequence[str]], *, align_right: bool = False) -> str:
    """Return a Markdown table, padded so that it can be read as plain text too; the first row heads it."""
    cells = [[one_line(cell).replace("|", r"\|") for cell in row] for row in rows]
    # A rule needs three dashes, and a colon where the column is aligned to the right.
    widths = [max(4, *(len(row[column]) for row in cells)) for column in range(len(rows[0]))]
    right = [align_right and column > 0 for column in range(len(widths))]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        + " |"
        for row in cells
    ]
    rule = [
        "-" * (width - 1) + ":" if to_right else "-" * width
        for width, to_right in zip(widths, right, strict=True)
    ]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    return "\n".join(lines)


def one_line(text: str) -> str:
    """Fold line breaks and runs of blanks, which would break a heading or a table row."""
    return " ".join(text.split())


def link(name: str) -> str:
    """Return ``name`` as the target of a Markdown link."""
    path = PurePosixPath(name)
    # A report is moved and shared with its folder: links may not reach outside it.
    if not path.name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise ValueError(f"a figure must be a relative file name inside the report's folder, got {name!r}")
    return quote(name)
