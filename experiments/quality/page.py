"""The protocol's tables and figures, from its results."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.markdown import markdown_table
from experiments.plot_style import BLUE, GREY, INK, SMALL, VERMILION, headline, new_figure
from experiments.spread import spread
from fitness.rewards import OBJECTIVES

_COLOURS = (BLUE, VERMILION, INK, GREY, "#009E73", "#CC79A7", "#E69F00")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))

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
    """For each compensation and threshold BEST's drop over evaluations: medians, and ranges shaded."""
    kinds = dict.fromkeys((cell["compensate"], cell["threshold"]) for cell in results["cells"])
    return {
        f"drop-{compensate}-{threshold:g}".replace(".", "_"): _drop_figure(
            [
                cell
                for cell in results["cells"]
                if (cell["compensate"], cell["threshold"]) == (compensate, threshold)
            ],
            f"compensation: {compensate}; threshold {threshold:g}%",
            OBJECTIVES[results["settings"]["objective"]].noun,
        )
        for compensate, threshold in kinds
    }


def best_so_far(curve: Sequence[Sequence[float]], budgets: np.ndarray) -> np.ndarray:
    """``float64[n]``: BEST's drop when so many masks had been evaluated; 0, the original, before the first."""
    evaluations = np.array([0, *(point[0] for point in curve)])
    drops = np.array([0.0, *(point[1] for point in curve)])
    return drops[np.searchsorted(evaluations, budgets, side="right") - 1]


def _drop_figure(cells: Cells, subtitle: str, noun: str) -> Figure:
    figure, axes = new_figure(8.6, 5.2)
    budgets = np.linspace(0, max(cell["evaluations"] for cell in cells), 200)
    styles = cycle([(colour, dash) for dash in _DASHES for colour in _COLOURS])
    for method in dict.fromkeys(cell["method"] for cell in cells):
        colour, dash = next(styles)
        drops = np.array([best_so_far(cell["curve"], budgets) for cell in cells if cell["method"] == method])
        axes.plot(budgets, np.median(drops, axis=0), label=method, color=colour, linestyle=dash, linewidth=1.6)
        axes.fill_between(budgets, drops.min(axis=0), drops.max(axis=0), color=colour, alpha=0.12, linewidth=0)
    axes.set_xlabel("masks evaluated", fontsize=10, color=INK)
    axes.set_ylabel(f"{noun} that BEST drops (%)", fontsize=10, color=INK)
    axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK, loc="center left", bbox_to_anchor=(1.0, 0.5))
    headline(axes, "What methods find at equal budget", subtitle, above_legend=False)
    return figure


def _of(cells: Cells, method: str, compensate: str) -> list[Mapping[str, Any]]:
    return [cell for cell in cells if (cell["method"], cell["compensate"]) == (method, compensate)]


def _whole(cells: Cells, split: str) -> list[float]:
    return [cell["whole"][split]["accuracy_drop"] for cell in cells if split in cell["whole"]]
