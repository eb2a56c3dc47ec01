"""Confusion matrices as figures, and accuracy by class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from experiments.report.figures.style import BLUE, INK, headline, new_figure

_SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", BLUE])


def confusion_figure(matrix: np.ndarray, classes: Sequence[str], *, title: str) -> Figure:
    """Draw ``int64[classes, classes]``: images of a class (row) by the class they were given (column).

    Shades are shares of a row, numbers are images.
    """
    figure, axes = new_figure(7.0, 6.4)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1)
    axes.grid(visible=False)
    for (row, column), count in np.ndenumerate(matrix):
        # White on dark blue, dark on light.
        colour = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=8, color=colour)
    places = range(len(classes))
    axes.set_xticks(places, classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, classes)
    axes.set_xlabel("answer", fontsize=10, color=INK)
    axes.set_ylabel("class", fontsize=10, color=INK)
    total, correct = int(matrix.sum()), int(np.trace(matrix))
    right = f"{correct:,} of {total:,} images right ({100 * correct / total:.2f}%)"
    headline(axes, title, right, above_legend=False)
    return figure


def class_accuracies(matrix: np.ndarray) -> list[float]:
    """Share of each class's images that were given their class, 0 to 1; NaN for a class without images."""
    totals = matrix.sum(axis=1)
    return [
        float(right / total) if total else float("nan")
        for right, total in zip(matrix.diagonal(), totals, strict=True)
    ]
