"""The page of a reproduced experiment: the document's figures next to ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from engine.stores.atomic import write_atomically
from experiments.markdown import link, markdown_table, one_line
from experiments.report.figures import run_figures

PAGE = "page.md"
CHECKLIST = "Figures and tables of the document"
"""The heading of the last section of a page."""


@dataclass(frozen=True)
class Section:
    """A part of a page: a heading, paragraphs, a table whose first row heads it, and a figure with caption."""

    heading: str
    paragraphs: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()
    figure: Figure | None = None
    caption: str = ""


@dataclass(frozen=True)
class Page:
    """The page of an experiment.

    Attributes:
        title: of the page.
        document: author, title and year of what is reproduced.
        command: that makes this page.
        settings: setting -> (the document's, ours); every difference is one of its rows.
        checklist: each figure and table of the document -> its counterpart on this page, or why there is none.
        sections: in order.
    """

    title: str
    document: str
    command: str
    settings: Mapping[str, tuple[str, str]]
    checklist: Mapping[str, str]
    sections: Sequence[Section] = field(default_factory=tuple)

    def write(self, folder: Path) -> Path:
        """Write ``page.md`` and its PNG figures into ``folder``; the path of the page."""
        figures: dict[str, Figure] = {}
        parts = [f"# {one_line(self.title)}", one_line(self.document), f"`{self.command}`"]
        for number, section in enumerate(self.sections, 1):
            parts += [f"## {one_line(section.heading)}", *map(one_line, section.paragraphs)]
            if section.table:
                parts.append(markdown_table(section.table, align_right=True))
            if section.figure is not None:
                name = f"figure{number}"
                figures[name] = section.figure
                parts += [
                    f"![{one_line(section.caption)}]({link(name + '.png')})",
                    f"*{one_line(section.caption)}*",
                ]
        rows = [("setting", "document", "here"), *((name, *pair) for name, pair in self.settings.items())]
        parts += ["## Settings", markdown_table(rows)]
        parts += [f"## {CHECKLIST}", checklist_table(self.checklist)]
        for name, image in run_figures.render_figures(figures).items():
            write_atomically(folder / f"{name}.png", image)
        # The page is written last, so that its reader finds the figures.
        write_atomically(folder / PAGE, ("\n\n".join(parts) + "\n").encode())
        return folder / PAGE


def checklist_table(checklist: Mapping[str, str]) -> str:
    """A checklist as a Markdown table."""
    return markdown_table([("document", "here"), *checklist.items()])
