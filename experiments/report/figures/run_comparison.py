"""Figures that compare runs; each run has its own colour, dashes, marker and letter."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from experiments.report.figures.style import (
    BLUE,
    GREY,
    INK,
    VERMILION,
    generation_axis,
    headline,
    legend,
    new_figure,
)
from experiments.report.results.trade_off import TradeOff

# Okabe and Ito's colours but yellow, which is hard to see on white.
_COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
_DASHES: tuple[Any, ...] = ((0, ()), (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_MOST_IN_LEGEND = 8
"""Number of runs up to which a legend fits above the axes; the letters in the figure suffice for more."""
_TALLEST = 5.0
"""Height of the view of trade-offs, in thresholds."""


class Look(NamedTuple):
    """Colour, dashes and marker of a run."""

    colour: str
    dashes: Any
    marker: str

    @classmethod
    def of(cls, number: int) -> "Look":
        """The look of run ``number``, from 0."""
        return cls(
            _COLOURS[number % len(_COLOURS)], _DASHES[number % len(_DASHES)], _MARKERS[number % len(_MARKERS)]
        )


class Course(NamedTuple):
    """BEST's parameter drop, percent, in each generation, and the evaluations up to then."""

    label: str
    generations: list[int]
    budget: list[int] | None
    """Evaluations x images; None where the number of images is not known."""
    drops: list[float]


class Scored(NamedTuple):
    """The trade-off of a run, with BEST at (parameter drop, accuracy drop)."""

    label: str
    looks: Look
    found: TradeOff
    best: tuple[float, float]


def drop_over_generations_figure(courses: Sequence[Course]) -> Figure:
    """Draw BEST's parameter drop of all runs over the generations."""
    return _courses(courses, lambda course: course.generations, "generation", "over the generations")


def drop_over_budget_figure(courses: Sequence[Course]) -> Figure:
    """Draw BEST's parameter drop of all runs over evaluations x images, as far as these are known."""
    return _courses(courses, lambda course: course.budget, "evaluations x images", "over the budget")


def trade_offs_figure(runs: Sequence[Scored], threshold: float) -> Figure:
    """Draw the front of each run over all its masks, with BEST; ``threshold`` is the highest of theirs."""
    figure, axes = new_figure(7.2, 4.8)
    top = _TALLEST * max(threshold, 0.5, *(run.best[1] for run in runs))
    top = min(top, 1.06 * max(threshold, *(float(run.found.accuracy_drop.max(initial=0.0)) for run in runs)))
    axes.axhline(threshold, color=GREY, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1.5)
    for run in reversed(runs):
        shown = run.found.accuracy_drop <= top
        (marks,) = axes.plot(
            run.found.parameter_drop[shown], run.found.accuracy_drop[shown], linestyle="none", alpha=0.18
        )
        marks.set(marker=run.looks.marker, markersize=3.5, color=run.looks.colour, markeredgewidth=0)
        marks.set_rasterized(True)
        front = run.found.front()
        front = front[shown[front]]
        axes.plot(
            run.found.parameter_drop[front],
            run.found.accuracy_drop[front],
            color=run.looks.colour,
            linestyle=run.looks.dashes,
            linewidth=1.6,
            drawstyle="steps-pre",
            zorder=3,
        )
        (best,) = axes.plot(*([value] for value in run.best), linestyle="none", label=run.label)
        best.set(
            marker=run.looks.marker, markersize=10, color=run.looks.colour, markeredgecolor="white", zorder=4
        )
        _letter(axes, run.label, run.best, run.looks.colour)
    axes.set_ylim(None, top)
    axes.set_xlabel("parameters dropped (%)", fontsize=10, color=INK)
    axes.set_ylabel("accuracy drop (%)", fontsize=10, color=INK)
    if len(axes.get_legend_handles_labels()[0]) <= _MOST_IN_LEGEND:
        legend(axes)
    headline(
        axes, "Trade-offs", f"fronts of {len(runs)} runs; dotted: threshold {threshold:g}%", above_legend=True
    )
    return figure


def _courses(
    courses: Sequence[Course], along: Callable[[Course], list[int] | None], label: str, title: str
) -> Figure:
    figure, axes = new_figure(7.2, 4.6)
    furthest, drawn = 0, 0
    # The first run is drawn last: in front, and first in the legend.
    for number, course in reversed(list(enumerate(courses))):
        places, looks = along(course), Look.of(number)
        if places is None:
            continue
        (line,) = axes.plot(places, course.drops, color=looks.colour, linewidth=1.8, label=course.label, zorder=3)
        line.set(linestyle=looks.dashes, drawstyle="steps-post", clip_on=False)
        line.set(marker=looks.marker, markersize=6, markevery=[len(places) - 1])
        _letter(axes, course.label, (places[-1], course.drops[-1]), looks.colour)
        furthest, drawn = max(furthest, places[-1]), drawn + 1
    if label == "generation":
        generation_axis(axes, [0, furthest])
    else:
        axes.set_xlim(0, max(1, furthest))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlabel(label, fontsize=10, color=INK)
    lowest = min((min(course.drops) for course in courses), default=0.0)
    axes.set_ylim(min(0.0, lowest), None)
    axes.set_ylabel("parameters dropped by BEST (%)", fontsize=10, color=INK)
    if len(axes.get_legend_handles_labels()[0]) <= _MOST_IN_LEGEND:
        legend(axes)
    headline(axes, f"Parameters dropped {title}", f"BEST of {drawn} runs", above_legend=True)
    return figure


def _letter(axes: Any, label: str, place: tuple[float, float], colour: str) -> None:
    axes.annotate(
        label,
        place,
        xytext=(8, 4),
        textcoords="offset points",
        fontsize=11,
        fontweight="bold",
        color=colour,
        annotation_clip=False,
        zorder=5,
    )


def course_of(label: str, rows: Sequence[Any], images: int | None) -> Course:
    """The course of BEST from the rows of a journal.

    Raises:
        KeyError, TypeError, ValueError: it lacks figures of BEST.
    """
    drops = [float(row["best"]["parameter_drop"]) for row in rows]
    if not np.isfinite(drops).all():
        raise ValueError("a drop is not finite")
    budget = None if images is None else [images * int(row["evaluations"]) for row in rows]
    return Course(label, [int(row["generation"]) for row in rows], budget, drops)
