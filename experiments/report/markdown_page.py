"""The Markdown page of a report: table, settings, front and figures."""

import re
from collections.abc import Mapping, Sequence

from experiments.markdown import link, markdown_table, one_line


def report_page(
    *,
    title: str,
    table: str,
    details: Mapping[str, str],
    figures: Mapping[str, str],
    front: str = "",
    findings: Sequence[str] = (),
) -> str:
    """Return the text of ``report.md``.

    ``table`` and ``front`` are Markdown and go in as they are; ``findings`` are sentences; ``details`` become a
    table of settings; ``figures`` maps each caption to a file name relative to the report's folder. Raises
    ValueError for a figure that is not a relative file name inside that folder.
    """
    parts = [f"# {one_line(title)}", table.strip()]
    if findings:
        parts.append("\n".join(f"- {one_line(sentence)}" for sentence in findings))
    if details:
        rows = [("setting", "value"), *((str(key), str(value)) for key, value in details.items())]
        parts += ["## Settings", markdown_table(rows, align_right=False)]
    if front:
        parts += ["## Front", front.strip()]
    if figures:
        parts.append("## Figures")
        for caption, name in figures.items():
            text = one_line(caption)
            # Brackets would end the alternative text early.
            alternative = re.sub(r"([\\\[\]])", r"\\\1", text)
            parts += [f"![{alternative}]({link(name)})", f"*{text.replace('*', chr(92) + '*')}*"]
    return "\n\n".join(parts) + "\n"
