"""The figures of a run, drawn with matplotlib's own objects: no pyplot, no display, no global state."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, StrMethodFormatter

from experiments.report.figures.style import (
    BEST,
    BLUE,
    GREY,
    INK,
    RESULT,
    SMALL,
    THRESHOLD,
    generation_axis,
    headline,
    legend,
    mark,
    new_figure,
    percent,
)

DPI = 150
# Of layer names, in points.
_NAME_SIZE = 8.5


def accuracy_drop_figure(
    rows: Sequence[Mapping[str, Any]], threshold: float, result: float | None = None
) -> Figure:
    """Draw the accuracy drop of BEST on the fitness images over the generations (Figure 4.1).

    ``rows`` are journal rows in order of generation, drops in percent of the original network's accuracy;
    ``threshold``, in percent too, is drawn as a dashed line. ``result`` is the drop of RESULT, None for none. The
    figures over the generations mark RESULT at their end.
    Raises ValueError when there are no rows or a value is not finite.
    """
    if not math.isfinite(threshold):
        raise ValueError(f"threshold must be a finite number of percent, got {threshold}")
    generations, drops = _series(rows, "accuracy_drop")
    figure, axes = new_figure(7.2, 4.8)
    heights = [*drops, 0.0, threshold, *([] if result is None else [result])]
    lowest, highest = min(heights), max(heights)
    if lowest < 0:
        # Below this line the pruned network answers better than the original.
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=1.5)
    # In front of BEST, which often runs along the threshold and would hide it.
    axes.axhline(
        threshold,
        color=THRESHOLD,
        linewidth=1.6,
        linestyle=(0, (5, 3)),
        label=f"threshold ({threshold:g}%)",
        zorder=3.5,
    )
    _draw_series(axes, generations, drops, result)
    margin = 0.08 * (highest - lowest) or 0.5
    axes.set_ylim(lowest - margin, highest + margin)
    axes.set_ylabel("accuracy drop (%)", fontsize=10, color=INK)
    legend(axes)
    headline(
        axes,
        "Accuracy drop of BEST on the fitness images",
        f"BEST after generation {generations[-1]:,}: {rows[-1]['best']['correct']:,} fitness images correct",
        above_legend=True,
    )
    return figure


def parameter_drop_figure(rows: Sequence[Mapping[str, Any]], result: float | None = None) -> Figure:
    """Draw the parameters dropped by BEST, in percent of the original's, over the generations (Figure 4.2).

    Raises ValueError when there are no rows or a value is not finite.
    """
    return _saving_figure(
        rows,
        result,
        key="parameter_drop",
        label="parameters dropped (%)",
        title="Parameters dropped by BEST",
        left="parameters",
        unit="parameters",
    )


def mac_drop_figure(rows: Sequence[Mapping[str, Any]], result: float | None = None) -> Figure:
    """Draw the MACs dropped by BEST, in percent of the original's, over the generations (Figure 4.3).

    MACs are the multiply-accumulates for one image.
    Raises ValueError when there are no rows or a value is not finite.
    """
    return _saving_figure(
        rows,
        result,
        key="mac_drop",
        label="MACs dropped (%)",
        title="MACs dropped by BEST",
        left="macs",
        unit="MACs",
    )


def latency_drop_figure(rows: Sequence[Mapping[str, Any]], result: float | None = None) -> Figure:
    """Draw the latency dropped by BEST, in percent of the original's, over the generations.

    Latency is that of the run's table of measured layers.
    Raises ValueError when there are no rows or a value is not finite.
    """
    return _saving_figure(
        rows,
        result,
        key="latency_drop",
        label="latency dropped (%)",
        title="Latency dropped by BEST",
        left="latency_ms",
        unit="ms",
        form=",.3f",
    )


def kept_filters_figure(layers: Sequence[tuple[str, int, int]]) -> Figure:
    """Draw how many filters each layer keeps, in front of how many it had.

    ``layers`` holds (name, kept, total) in the order of the network; kept and total count filters (units,
    in a dense layer). Raises ValueError when there are no layers or kept is not within 0 and total.
    """
    if not layers:
        raise ValueError("there are no layers to draw")
    for name, kept, total in layers:
        if total < 1 or not 0 <= kept <= total:
            raise ValueError(f"layer {name} cannot keep {kept} of {total} filters")
    names = [name for name, _, _ in layers]
    kepts = [kept for _, kept, _ in layers]
    totals = [total for _, _, total in layers]
    places = list(range(len(layers)))

    width = min(max(6.4, 1.3 + 0.56 * len(layers)), 20.0)
    figure, axes = new_figure(width, 4.6)
    axes.bar(places, totals, width=0.72, facecolor="white", edgecolor=INK, linewidth=1.0, label="original")
    axes.bar(places, kepts, width=0.72, facecolor=BLUE, edgecolor=INK, linewidth=1.0, label="kept")
    slots = max(len(layers), 6)  # a few layers stay slim bars in the middle
    slot = (width - 1.1) / slots * 72  # points that each layer has across
    for place, kept, total in zip(places, kepts, totals, strict=True):
        axes.annotate(
            _share(kept, total),
            (place, total),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=SMALL,
            color=INK,
            rotation=0 if slot > 30 else 90,
        )
    middle = (len(layers) - 1) / 2
    axes.set_xlim(middle - slots / 2 - 0.2, middle + slots / 2 + 0.2)
    axes.set_ylim(0, max(totals) * (1.1 if slot > 30 else 1.16))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_major_locator(FixedLocator(places))
    # A character of this font is about 0.6 of its size wide; names that would touch are turned.
    turned = 0.6 * _NAME_SIZE * max(len(name) for name in names) > slot - 4
    axes.set_xticklabels(
        names,
        fontsize=_NAME_SIZE,
        rotation=90 if slot < 20 else 45 if turned else 0,
        ha="right" if turned and slot >= 20 else "center",
        rotation_mode="anchor" if turned and slot >= 20 else "default",
    )
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel("filters (count)", fontsize=10, color=INK)
    axes.set_xlabel("layer", fontsize=10, color=INK)
    legend(axes)
    headline(
        axes,
        "Filters kept in each layer",
        f"{sum(kepts):,} of {sum(totals):,} filters kept ({_share(sum(kepts), sum(totals))})",
        above_legend=True,
    )
    return figure


def render_figures(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """Return each figure as PNG at 150 dpi.

    Names consist of letters, digits, '_' and '-'. Raises ValueError for any other name.
    """
    images: dict[str, bytes] = {}
    for name, figure in figures.items():
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise ValueError(f"a figure's name may hold letters, digits, '_' and '-' only, got {name!r}")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
        images[name] = buffer.getvalue()
    return images


def _saving_figure(
    rows: Sequence[Mapping[str, Any]],
    result: float | None,
    *,
    key: str,
    label: str,
    title: str,
    left: str,
    unit: str,
    form: str = ",",
) -> Figure:
    """Draw ``best[key]``, in percent, over the generations; ``best[left]`` is left, written as ``form``."""
    generations, drops = _series(rows, key)
    figure, axes = new_figure(7.2, 4.2)
    axes.fill_between(generations, drops, step="post", color=BEST, alpha=0.12, linewidth=0)
    _draw_series(axes, generations, drops, result)
    # From zero, so that heights compare; a series that is zero throughout gets an axis of one percent.
    heights = [*drops, 0.0, *([] if result is None else [result])]
    lowest, highest = min(heights), max(heights)
    room = 0.1 * (highest - lowest)
    axes.set_ylim(lowest - (room if lowest < 0 else 0.0), highest + room if room else 1.0)
    axes.set_ylabel(label, fontsize=10, color=INK)
    headline(
        axes,
        title,
        f"BEST after generation {generations[-1]:,}: {rows[-1]['best'][left]:{form}} {unit} left",
        above_legend=False,
    )
    return figure


def _series(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Return the generations and BEST's ``key`` in each."""
    if not rows:
        raise ValueError("the journal has no generation to draw")
    generations = [int(row["generation"]) for row in rows]
    values = [float(row["best"][key]) for row in rows]
    for generation, value in zip(generations, values, strict=True):
        if not math.isfinite(value):
            raise ValueError(f"generation {generation} has no finite {key}: {value}")
    return generations, values


def _draw_series(axes: Axes, generations: list[int], values: list[float], result: float | None) -> None:
    """Draw BEST's values as steps, mark and write the last one and RESULT's, and set up the generation axis."""
    # A value holds until the next generation replaces it, hence steps after.
    (line,) = axes.plot(
        generations, values, color=BEST, linewidth=2.0, drawstyle="steps-post", label="BEST", zorder=3
    )
    # The mark at the end is all that a journal of one generation shows.
    line.set(marker="o", markersize=6, markeredgecolor="white", markevery=[len(values) - 1], clip_on=False)
    axes.annotate(
        percent(values[-1]),
        (generations[-1], values[-1]),
        xytext=(9, 0),
        textcoords="offset points",
        ha="left",
        va="center",
        fontsize=11,
        fontweight="bold",
        color=BEST,
        annotation_clip=False,
    )
    if result is not None:
        mark(axes, "RESULT", (generations[-1], result), result, "D", 9, RESULT, above=result >= values[-1])
    generation_axis(axes, generations)


def _share(kept: int, total: int) -> str:
    """Return kept of total in whole percent; neither 0% nor 100% unless it is exactly that."""
    percent = 100 * kept / total
    if kept < total and percent >= 99.5:
        return ">99%"
    if kept > 0 and percent < 0.5:
        return "<1%"
    return f"{percent:.0f}%"
