"""The figure of a search on islands: the highest score of each island."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.report.figures.style import GREY, INK, SMALL, generation_axis, headline, new_figure

# Lines are told apart by brightness, dashes and a number at their end; colour alone is not relied upon.
_DASHES = ((0, ()), (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)))
_MOST_NUMBERS = 20
_MOST_MIGRATIONS = 25


def island_scores_figure(
    rows: Sequence[Mapping[str, Any]], migrate_every: int, noun: str = "parameters"
) -> Figure:
    """Draw the highest score in each island's population over the generations, and when they migrate.

    ``rows`` are journal rows of a search on several islands, in order of generation. An island has no score
    while all its masks have failed. Raises ValueError when there are no rows.
    """
    if not rows:
        raise ValueError("the journal has no generation to draw")
    generations = [int(row["generation"]) for row in rows]
    count = len(rows[-1]["islands"])
    figure, axes = new_figure(7.2, 4.8)
    migrations = [generation for generation in generations if generation and generation % migrate_every == 0]
    if len(migrations) <= _MOST_MIGRATIONS:
        for generation in migrations:
            axes.axvline(generation, color=GREY, linewidth=0.8, linestyle=(0, (1, 3)), zorder=1.5)
    shades = matplotlib.colormaps["viridis"]
    ends = []
    for island in range(count):
        found = [row["islands"][island]["highest_score"] for row in rows]
        scores = [math.nan if score is None else float(score) for score in found]
        # Yellow, the last shade, is hard to see on white.
        colour = shades(0.82 * island / max(1, count - 1))
        dashes = _DASHES[island % len(_DASHES)]
        (line,) = axes.plot(generations, scores, color=colour, linewidth=1.6, linestyle=dashes, zorder=3)
        line.set(drawstyle="steps-post", label=f"island {island}", clip_on=False)
        line.set(marker="o", markersize=4, markevery=[len(scores) - 1])
        ends.append((scores[-1], island, colour))
    generation_axis(axes, generations)
    axes.margins(y=0.08)
    axes.set_ylabel(f"highest score on the island (dropped {noun})", fontsize=10, color=INK)
    if count <= _MOST_NUMBERS:
        _number(axes, generations[-1], [end for end in ends if math.isfinite(end[0])])
    marked = 0 < len(migrations) <= _MOST_MIGRATIONS
    often = "generation" if migrate_every == 1 else f"{migrate_every:,} generations"
    headline(
        axes,
        "Highest score on each island",
        f"after generation {generations[-1]:,}: {_range([score for score, _, _ in ends])} on {count} islands; "
        f"migration every {often}{' (dotted)' if marked else ''}",
        above_legend=False,
    )
    return figure


def _number(axes: Axes, generation: int, ends: list[tuple[float, int, Any]]) -> None:
    """Write each island's number beside the end of its line, moved apart where lines end close together."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    gap = (high - low) / (_MOST_NUMBERS + 2)
    # Of equal scores the first island stands on top.
    ends = sorted(ends, key=lambda end: (end[0], -end[1]))
    places = [score for score, _, _ in ends]
    for above in range(1, len(places)):
        places[above] = max(places[above], places[above - 1] + gap)
    ceiling = high
    for below in reversed(range(len(places))):
        places[below] = min(places[below], ceiling)
        ceiling = places[below] - gap
    for place, (_, number, colour) in zip(places, ends, strict=True):
        axes.annotate(
            str(number),
            (generation, place),
            xytext=(8, 0),
            textcoords="offset points",
            ha="left",
            va="center",
            fontsize=SMALL,
            fontweight="bold",
            color=colour,
            annotation_clip=False,
        )


def _range(scores: list[float]) -> str:
    finite = [score for score in scores if math.isfinite(score)]
    return f"{min(finite):.2f} to {max(finite):.2f}" if finite else "no score"
