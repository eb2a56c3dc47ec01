"""The figures of all masks that a search scored."""

import numpy as np
from matplotlib.figure import Figure

from experiments.report.figures.style import (
    BEST,
    GREY,
    INK,
    RESULT,
    THRESHOLD,
    headline,
    legend,
    mark,
    new_figure,
)
from experiments.report.results.trade_off import TradeOff

TALLEST = 5.0
"""Height of the view in thresholds, if some masks lie far above."""
MOST_MARKS = 1500
"""Number of points up to which a vector figure stays small; more points are drawn as an image."""
NOUNS = {"parameter_drop": "parameters", "mac_drop": "MACs"}


def trade_off_figure(
    found: TradeOff,
    best: tuple[float, float],
    threshold: float,
    name: str = "parameter_drop",
    result: tuple[float, float] | None = None,
) -> Figure:
    """Draw each mask at its drop and accuracy drop, the front, the threshold, BEST and RESULT.

    Args:
        found: the masks.
        best: BEST's drop and accuracy drop, in percent as all drops.
        threshold: of the search.
        name: of the drop, a key of :data:`NOUNS`.
        result: RESULT's drop and accuracy drop; None for a search without a RESULT of its own.
    """
    figure, axes = new_figure(7.2, 4.8)
    drop = found.dropped(name)
    top = _top(found, max(best[1], result[1] if result else 0.0), threshold)
    shown = found.accuracy_drop <= top
    masks = axes.plot(
        drop[shown],
        found.accuracy_drop[shown],
        linestyle="none",
        marker="o",
        markersize=4,
        color=GREY,
        alpha=0.35,
        markeredgewidth=0,
        label="a mask",
        zorder=2,
    )
    beyond = axes.plot(
        drop[~shown],
        np.full(np.count_nonzero(~shown), top),
        linestyle="none",
        marker="^",
        markersize=5,
        color=GREY,
        alpha=0.35,
        markeredgewidth=0,
        zorder=2,
        clip_on=False,
    )
    for marks in (*masks, *beyond):
        marks.set_rasterized(len(found.accuracy_drop) > MOST_MARKS)
    front = found.front(name)
    front = front[shown[front]]
    axes.plot(
        drop[front],
        found.accuracy_drop[front],
        color=INK,
        linewidth=1.2,
        drawstyle="steps-pre",
        label="front",
        zorder=2.5,
    )
    axes.axhline(
        threshold,
        color=THRESHOLD,
        linewidth=1.6,
        linestyle=(0, (5, 3)),
        label=f"threshold ({threshold:g}%)",
        zorder=3,
    )
    low, high = _range(drop, best[0], result[0] if result else 0.0)
    right = low + 0.6 * (high - low)
    mark(axes, "BEST", best, best[0], "*", 15, BEST, left=best[0] > right)
    if result is not None:
        # The texts stay apart where the marks are near each other.
        higher = result[1] > best[1] + 0.15 * top
        mark(axes, "RESULT", result, result[0], "D", 9, RESULT, left=result[0] > right, above=higher)
    room = 0.05 * (high - low)
    axes.set_xlim(low - room, high + room)
    low, _ = _range(found.accuracy_drop, best[1], result[1] if result else 0.0, threshold)
    axes.set_ylim(low - 0.06 * (top - low), top)
    axes.set_xlabel(f"{NOUNS[name]} dropped (%)", fontsize=10, color=INK)
    axes.set_ylabel("accuracy drop (%)", fontsize=10, color=INK)
    legend(axes)
    within = int(np.count_nonzero(found.accuracy_drop < threshold))
    beyond_view = "" if shown.all() else f", {np.count_nonzero(~shown):,} above the view (triangles)"
    headline(
        axes,
        f"Accuracy against {NOUNS[name]}",
        f"{len(found.accuracy_drop):,} masks, {within:,} of them within the threshold{beyond_view}",
        above_legend=True,
    )
    return figure


def _top(found: TradeOff, best: float, threshold: float) -> float:
    """Upper end of the view: all masks, or fewer if masks of very low accuracy would squeeze the rest."""
    low, high = _range(found.accuracy_drop, best, threshold)
    return min(high + 0.06 * (high - low), TALLEST * max(threshold, best, 0.5))


def _range(values: np.ndarray, *others: float) -> tuple[float, float]:
    """The smallest interval, not empty, that holds zero and all values."""
    everything = np.r_[values, others, 0.0]
    low, high = float(everything.min()), float(everything.max())
    return (low, high) if high > low else (low, low + 1.0)
