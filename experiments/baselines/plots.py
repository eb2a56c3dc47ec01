"""The figure of baselines: accuracy without retraining against parameters dropped, method by method."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from experiments.report.figures.style import BLUE, GREY, INK, SMALL, THRESHOLD, VERMILION, style
from experiments.runs.options import NONE
from fitness.objective.rewards import OBJECTIVES

# Methods are told apart by marker and dashes as well as by colour (Okabe and Ito's, which differ in brightness).
_COLOURS = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", INK)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
_DASHES = ((0, ()), (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)))
_ROOM = 3
"""The part of the figure near the threshold shows drops up to this many times the threshold."""


def baseline_figure(result: Mapping[str, Any]) -> Figure:
    """Draw the curves of all methods, whole on the left and near the threshold on the right.

    Methods are named in order of their largest drop within the threshold; a run's BEST is a star.
    ``result``: see :func:`experiments.baselines.method_comparison.compare_baselines`.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(12.0, 5.6), layout=layout, facecolor="white")
    whole, near = figure.subplots(1, 2)
    noun = OBJECTIVES[result["objective"]].noun
    original = 100 * result["original_correct"] / result["total"]
    floor = original * (1 - result["threshold"] / 100)
    for axes in (whole, near):
        style(axes)
        _draw(axes, result, floor)
        axes.set_xlabel(f"{noun} dropped (%)", fontsize=10, color=INK)
        axes.set_ylabel(f"accuracy on {result['total']:,} {result['split']} images (%)", fontsize=10, color=INK)
    whole.set_ylim(bottom=0)
    whole.set_title("all", loc="left", fontsize=10, color=INK)
    near.set_title("near the threshold", loc="left", fontsize=10, color=INK)
    _look_near(near, result, original, floor)
    handles, labels = whole.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        handlelength=3.6,
    )
    how = compensated_by(result["compensation"], result["refit_images"])
    title = f"Accuracy without retraining{how}, against {noun} dropped"
    figure.suptitle(title, fontsize=13, fontweight="bold", color=INK)
    return figure


def compensated_by(method: str, refit_images: int | None = None) -> str:
    """How the weights of masks were changed, to put behind what the masks are; nothing if they were not."""
    compensated = "" if method == NONE else f", compensated by {method}"
    return compensated + ("" if refit_images is None else f", refitted to {refit_images:,} images")


def _draw(axes: Axes, result: Mapping[str, Any], floor: float) -> None:
    axes.axhline(
        floor,
        color=THRESHOLD,
        linewidth=1.6,
        linestyle=(0, (5, 3)),
        label=f"threshold ({result['threshold']:g}%)",
        zorder=2,
    )
    drop = OBJECTIVES[result["objective"]].figure
    ranked = sorted(result["methods"].items(), key=lambda item: -item[1][f"{drop}_within_threshold"])
    for number, (name, entry) in enumerate(ranked):
        points = [point for point in entry["curve"] if point["accuracy"] is not None]
        axes.plot(
            [point[drop] for point in points],
            [100 * point["accuracy"] for point in points],
            color=GREY if name == "random" else _COLOURS[number % len(_COLOURS)],
            linestyle=_DASHES[number % len(_DASHES)],
            marker=_MARKERS[number % len(_MARKERS)],
            linewidth=1.4,
            markersize=4.5,
            markeredgecolor="white",
            markeredgewidth=0.4,
            label=f"{name} ({entry[f'{drop}_within_threshold']:.1f}%)",
            zorder=3,
        )
    run = result["run"]
    if run is not None and run["accuracy"] is not None:
        axes.plot(
            [run[drop]],
            [100 * run["accuracy"]],
            linestyle="none",
            marker="*",
            markersize=17,
            color=VERMILION,
            markeredgecolor=INK,
            label=f"BEST of the run ({run[drop]:.1f}%)",
            zorder=4,
        )


def _look_near(axes: Axes, result: Mapping[str, Any], original: float, floor: float) -> None:
    """Show what lies around the threshold: drops of a few times it, and drops somewhat beyond the best."""
    drop = OBJECTIVES[result["objective"]].figure
    drops = [entry[f"{drop}_within_threshold"] for entry in result["methods"].values()]
    accuracies = [
        100 * p["accuracy"] for entry in result["methods"].values() for p in entry["curve"] if p["accuracy"]
    ]
    if result["run"] is not None:
        drops.append(result["run"][drop])
    furthest = max([1.2 * max(drops, default=0.0), 1.0])
    below = max(_ROOM * (original - floor), 0.01 * original)
    above = max(accuracies, default=original) - original + 0.1 * below
    axes.set_xlim(-0.02 * furthest, furthest)
    axes.set_ylim(original - below, original + above)
