"""The figure of the scores in the population."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from experiments.report.figures.style import BLUE, GREY, INK, generation_axis, headline, legend, new_figure


def population_scores_figure(rows: Sequence[Mapping[str, Any]], noun: str = "parameters") -> Figure:
    """Draw the highest, median and lowest score of the population over the generations.

    ``rows`` are journal rows in order of generation; there is no score while all masks have failed.
    ``noun`` names the cost whose drop the score rewards.
    Raises ValueError when there are no rows.
    """
    if not rows:
        raise ValueError("the journal has no generation to draw")
    generations = [int(row["generation"]) for row in rows]
    highest, median, lowest = (
        [_number(row["population"][f"{which}_score"]) for row in rows]
        for which in ("highest", "median", "lowest")
    )
    figure, axes = new_figure(7.2, 4.2)
    axes.fill_between(generations, lowest, highest, step="post", color=BLUE, alpha=0.12, linewidth=0)
    for values, name, colour, dashes in (
        (lowest, "lowest", GREY, (0, (2, 1.5))),
        (median, "median", INK, (0, (6, 2))),
        (highest, "highest", BLUE, "-"),
    ):
        (line,) = axes.plot(generations, values, color=colour, linestyle=dashes, linewidth=1.6, label=name)
        line.set(drawstyle="steps-post", marker="o", markersize=4, markevery=[len(values) - 1], clip_on=False)
    generation_axis(axes, generations)
    axes.margins(y=0.08)
    axes.set_ylabel(f"score (dropped {noun})", fontsize=10, color=INK)
    legend(axes)
    size = rows[-1]["population"]["size"]
    headline(
        axes,
        "Scores in the population",
        f"after generation {generations[-1]:,}: {size:,} individuals",
        above_legend=True,
    )
    return figure


def _number(score: float | None) -> float:
    return math.nan if score is None else float(score)
