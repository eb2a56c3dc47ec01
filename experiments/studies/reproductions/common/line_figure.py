"""Curves of accuracy in the common style."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from experiments.report.figures.style import BLUE, GREY, INK, SMALL, VERMILION, headline, legend, new_figure

_STYLES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linewidth": 2.0},
    {"color": VERMILION, "linewidth": 1.8, "linestyle": (0, (5, 2))},
    {"color": INK, "linewidth": 1.4, "linestyle": (0, (1, 1.5))},
    {"color": GREY, "linewidth": 1.4, "linestyle": (0, (6, 2, 1, 2))},
    {"color": GREY, "linewidth": 1.0},
)
"""Told apart by dashes too, not by colour alone."""

_IN_A_ROW = 3
"""More labels than these have no room in a row above the axes, and go where the curves leave room."""

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Label -> places and values; at most as many as there are styles."""


def line_figure(
    series: Series, *, title: str, subtitle: str, places: str, values: str, marked: bool = False
) -> Figure:
    """Draw curves over common axes.

    Args:
        series: see :data:`Series`.
        title, subtitle: above the figure.
        places: what the horizontal axis is.
        values: what the vertical one is, with its unit.
        marked: whether each point has a mark, as few points should.
    """
    figure, axes = new_figure(7.2, 4.6)
    for (label, (xs, ys)), style in zip(series.items(), _STYLES, strict=False):
        axes.plot(xs, ys, label=label, marker="o" if marked else None, markersize=5, **style)
    axes.set_xlabel(places, fontsize=10, color=INK)
    axes.set_ylabel(values, fontsize=10, color=INK)
    above = 1 < len(series) <= _IN_A_ROW
    if above:
        legend(axes)
    elif len(series) > 1:
        axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK, handlelength=2.8)
    headline(axes, title, subtitle, above_legend=above)
    return figure
