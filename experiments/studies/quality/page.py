"""The protocol's tables and figures, from its results."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.markdown import markdown_table, spread
from experiments.report.figures.style import BLUE, GREY, INK, SMALL, VERMILION, headline, new_figure
from fitness.objective.rewards import OBJECTIVES

_COLOURS = (BLUE, VERMILION, INK, GREY, "#009E73", "#CC79A7", "#E69F00")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))
_WORDS = {"none": "no compensation"}

MOST_LINES = 12
"""Lines in one figure; more lines cannot be told apart."""

Cells = Sequence[Mapping[str, Any]]


def tables(results: Mapping[str, Any]) -> str:
    """Markdown: for each threshold what BEST drops, median and range over seeds, percent of the original."""
    parts = []
    for threshold in sorted({cell["threshold"] for cell in results["cells"]}):
        rows = [
            (
                "method",
                "compensation",
                "parameters",
                "MACs",
                "accuracy, fitness",
                "accuracy, train",
                "accuracy, test",
                "evaluations",
                "seeds",
            )
        ]
        here = [cell for cell in results["cells"] if cell["threshold"] == threshold]
        for method, compensate in dict.fromkeys((cell["method"], cell["compensate"]) for cell in here):
            cells = _of(here, method, compensate)
            rows.append(
                (
                    method,
                    compensate,
                    spread([cell["best"]["parameter_drop"] for cell in cells]),
                    spread([cell["best"]["mac_drop"] for cell in cells]),
                    spread([cell["best"]["accuracy_drop"] for cell in cells]),
                    *(spread(_whole(cells, split)) for split in ("train", "test")),
                    spread([cell["evaluations"] for cell in cells], digits=0),
                    str(len(cells)),
                )
            )
        parts += [f"## Threshold {threshold:g}%", markdown_table(rows, align_right=True)]
    return "\n\n".join(parts) + "\n"


def drop_figures(results: Mapping[str, Any]) -> dict[str, Figure]:
    """For each threshold BEST's drop over evaluations: medians, and ranges shaded.

    With more than :data:`MOST_LINES` of methods and compensations each compensation has a figure of its own.
    """
    noun = OBJECTIVES[results["settings"]["objective"]].noun
    figures = {}
    for threshold in dict.fromkeys(cell["threshold"] for cell in results["cells"]):
        here = [cell for cell in results["cells"] if cell["threshold"] == threshold]
        compensations = list(dict.fromkeys(cell["compensate"] for cell in here))
        crowded = len({(cell["method"], cell["compensate"]) for cell in here}) > MOST_LINES
        for shown in [[name] for name in compensations] if crowded else [compensations]:
            name = "-".join(["drop", *(shown if crowded else []), f"{threshold:g}"]).replace(".", "_")
            cells = [cell for cell in here if cell["compensate"] in shown]
            figures[name] = _drop_figure(cells, threshold, shown, noun)
    return figures


def best_so_far(curve: Sequence[Sequence[float]], budgets: np.ndarray) -> np.ndarray:
    """``float64[n]``: BEST's drop when so many masks had been evaluated; 0, the original, before the first."""
    evaluations = np.array([0, *(point[0] for point in curve)])
    drops = np.array([0.0, *(point[1] for point in curve)])
    return drops[np.searchsorted(evaluations, budgets, side="right") - 1]


def _drop_figure(cells: Cells, threshold: float, compensations: Sequence[str], noun: str) -> Figure:
    figure, axes = new_figure(8.6, 5.2)
    budgets = np.linspace(0, max(cell["evaluations"] for cell in cells), 200)
    styles = cycle([(colour, dash) for dash in _DASHES for colour in _COLOURS])
    for method, compensate in dict.fromkeys((cell["method"], cell["compensate"]) for cell in cells):
        colour, dash = next(styles)
        label = method if len(compensations) == 1 else f"{method}, {_WORDS.get(compensate, compensate)}"
        drops = np.array([best_so_far(cell["curve"], budgets) for cell in _of(cells, method, compensate)])
        axes.plot(budgets, np.median(drops, axis=0), label=label, color=colour, linestyle=dash, linewidth=1.6)
        axes.fill_between(budgets, drops.min(axis=0), drops.max(axis=0), color=colour, alpha=0.12, linewidth=0)
    axes.set_xlabel("masks evaluated", fontsize=10, color=INK)
    axes.set_ylabel(f"{noun} that BEST drops (%)", fontsize=10, color=INK)
    axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK, loc="center left", bbox_to_anchor=(1.0, 0.5))
    subtitle = f"threshold {threshold:g}%"
    if len(compensations) == 1:
        subtitle += f"; compensation: {compensations[0]}"
    headline(axes, "What methods find at equal budget", subtitle, above_legend=False)
    return figure


def _of(cells: Cells, method: str, compensate: str) -> list[Mapping[str, Any]]:
    return [cell for cell in cells if (cell["method"], cell["compensate"]) == (method, compensate)]


def _whole(cells: Cells, split: str) -> list[float]:
    return [cell["whole"][split]["accuracy_drop"] for cell in cells if split in cell["whole"]]
