"""The figures of the benchmarks, drawn with matplotlib's own objects."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.report.figures.style import BLUE, GREY, GRID, INK, VERMILION

COLOURS = (BLUE, VERMILION, GREY, "#E69F00", "#009E73")
"""Ours, then the rivals; Okabe and Ito's, as everywhere. The legend is in the order of the bars."""


def generations_figure(results: dict[str, Any]) -> Figure:
    """Seconds a mask, a group of bars for each generation."""
    figure = Figure(figsize=(8, 4.5), layout="constrained", facecolor="white")
    axes = _axes(figure, 1, 1)
    entries = results["generations"]
    names = ["ours", *entries[0]["rivals"]]
    width = 0.8 / len(names)
    for place, name in enumerate(names):
        medians = [(entry["ours"] if name == "ours" else entry["rivals"][name])["median"] for entry in entries]
        heights = [median / entry["distinct"] for median, entry in zip(medians, entries, strict=True)]
        places = [index + (place - (len(names) - 1) / 2) * width for index in range(len(entries))]
        bars = axes.bar(places, heights, width * 0.9, color=COLOURS[place % len(COLOURS)], label=name)
        axes.bar_label(bars, fmt="%.3g", fontsize=7, color=INK)
    axes.set_xticks(
        range(len(entries)), [f"{entry['name']}\n{entry['distinct']} to evaluate" for entry in entries]
    )
    axes.set_ylabel(f"seconds a mask of {results['images']:,} images", color=INK)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(names), frameon=False, fontsize=9)
    return figure


def scaling_figure(results: dict[str, Any]) -> Figure:
    """Seconds an offspring against their number, and against the share of parameters removed."""
    figure = Figure(figsize=(9, 4), layout="constrained", facecolor="white")
    counts, shares = results["by_count"], results["by_share"]
    left = _axes(figure, 2, 1)
    left.plot([p["offspring"] for p in counts], [p["seconds_per_offspring"] for p in counts], "o-", color=BLUE)
    left.set_xscale("log")
    left.set_xticks([p["offspring"] for p in counts], [f"{p['offspring']:,}" for p in counts])
    left.minorticks_off()
    left.set_xlabel("offspring evaluated", color=INK)
    right = _axes(figure, 2, 2)
    removed = [100 * p["parameters_removed"] for p in shares]
    right.plot(removed, [p["seconds_per_offspring"] for p in shares], "o-", color=BLUE)
    right.set_xlabel("parameters removed (%)", color=INK)
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.set_ylabel("seconds an offspring", color=INK)
    return figure


def _axes(figure: Figure, columns: int, place: int) -> Axes:
    axes = figure.add_subplot(1, columns, place, facecolor="white")
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=9)
    return axes
