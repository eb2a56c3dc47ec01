"""The picture of the README: accuracy against parameters dropped on the test images, beside the thesis.

Command: ``python -m experiments.studies.quality.trade_off docs/quality-vgg16 docs/trade-off.png``. Each mark is
the BEST of one search of the protocol.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from experiments.report.figures.style import BLUE, GREY, INK, VERMILION, headline, new_figure

THESIS = (38.82, 1.87)
"""Parameters and test accuracy dropped by the thesis (Table 4.1: VGG-16 on CIFAR-10), in percent."""

HIGHEST = 6.0
"""Upper end of the view: accuracy drop in percent."""

_GREEN = "#009E73"
_SHOWN = {
    "quality": ("quality, the default: masks and compensation", BLUE, "o"),
    "masks": ("masks: no weight changes", _GREEN, "s"),
    "paper": ("paper: the thesis's search at the same budget", GREY, "^"),
}
"""Method -> label, colour and marker."""

Cells = Sequence[Mapping[str, Any]]


def read_cells(study: Path) -> list[Mapping[str, Any]]:
    """The finished cells of a study folder whose BEST was measured on the test split."""
    cells = [json.loads(path.read_text()) for path in sorted((study / "steps" / "cells").glob("*.json"))]
    return [cell for cell in cells if "test" in cell["whole"]]


def trade_off_figure(cells: Cells) -> Figure:
    """Draw the test accuracy drop against the parameter drop of BEST of each cell, and the thesis, in percent."""
    figure, axes = new_figure(8.0, 4.4)
    for method, (label, colour, marker) in _SHOWN.items():
        points = np.array([_point(cell) for cell in cells if cell["method"] == method])
        if len(points) == 0:
            continue
        middles = _medians([cell for cell in cells if cell["method"] == method])
        axes.plot(*middles.T, color=colour, linewidth=1.6, alpha=0.6, zorder=2)
        axes.plot(
            *points.T,
            linestyle="none",
            marker=marker,
            markersize=9,
            color=colour,
            markeredgecolor="white",
            label=label,
            zorder=3,
        )
    axes.plot(
        *THESIS,
        linestyle="none",
        marker="D",
        markersize=11,
        color=VERMILION,
        markeredgecolor="white",
        label=f"the thesis, its own VGG-16: {THESIS[0]}% at {THESIS[1]}%",
        zorder=4,
    )
    axes.legend(loc="upper left", fontsize=11, labelcolor=INK, framealpha=0.9, edgecolor="white", borderpad=0.2)
    axes.set_xlim(-3, 103)
    axes.set_ylim(0, HIGHEST)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(decimals=0))
    axes.tick_params(labelsize=11)
    axes.set_xlabel("parameters dropped", fontsize=12, color=INK)
    axes.set_ylabel("test accuracy drop", fontsize=12, color=INK)
    headline(
        axes,
        "VGG-16 on CIFAR-10, filters removed without retraining",
        "each mark is one search of about 150 masks on 1,000 images; thresholds from 0.5% to 5%",
        above_legend=False,
    )
    return figure


def _point(cell: Mapping[str, Any]) -> tuple[float, float]:
    return cell["best"]["parameter_drop"], cell["whole"]["test"]["accuracy_drop"]


def _medians(cells: Cells) -> np.ndarray:
    """``float64[thresholds, 2]``: the median over seeds of each threshold, in order."""
    thresholds = sorted({cell["threshold"] for cell in cells})
    return np.array(
        [np.median([_point(cell) for cell in cells if cell["threshold"] == one], axis=0) for one in thresholds]
    )


@click.command()
@click.argument("study", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("png", type=click.Path(dir_okay=False, path_type=Path))
def main(study: Path, png: Path) -> None:
    """Draw the cells of the folder STUDY into PNG."""
    trade_off_figure(read_cells(study)).savefig(png, dpi=180, facecolor="white")


if __name__ == "__main__":
    main()
