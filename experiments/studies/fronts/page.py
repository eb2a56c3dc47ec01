"""Tables and figure of the comparison of fronts, from its results."""

from collections.abc import Mapping, Sequence
from typing import Any

import moocore
import numpy as np
from matplotlib.figure import Figure

from experiments.markdown import markdown_table, spread
from experiments.report.figures.style import BLUE, GREY, INK, VERMILION, headline, legend, new_figure
from fitness.objective.rewards import OBJECTIVES

Points = Sequence[Sequence[float]]
"""Pairs of accuracy drop and the drop that is traded for it, percent."""


def hypervolume(points: Points, limit: float) -> float:
    """Share of the box up to an accuracy drop of ``limit`` and a drop of everything that the points dominate.

    A mask more accurate than the original counts as accurate as that, so that the share is 1 at most.
    """
    within = np.array([point for point in points if point[0] < limit]).reshape(-1, 2)
    values = np.stack([1 - np.maximum(within[:, 0], 0) / limit, within[:, 1] / 100], axis=1)
    return float(moocore.hypervolume(values, ref=np.zeros(2), maximise=True)) if len(values) else 0.0


def largest_within(points: Points, threshold: float) -> float:
    """The largest drop at an accuracy drop below ``threshold``; 0, the original's, if nothing is."""
    return max((point[1] for point in points if point[0] < threshold), default=0.0)


def tables(results: Mapping[str, Any]) -> str:
    """Markdown: what is found within each threshold, and hypervolumes; median and range over seeds."""
    settings, seeds = results["settings"], results["seeds"]
    limit = max(settings["thresholds"])
    names = [f"{threshold:g}" for threshold in settings["thresholds"]]
    drops = [("threshold", "front", "its own search", "all of these searches")]
    for threshold, name in zip(settings["thresholds"], names, strict=True):
        drops.append(
            (
                f"{name}%",
                spread([largest_within(cells["front"]["front"], threshold) for cells in seeds]),
                spread([cells[name]["best"][1] for cells in seeds]),
                spread([largest_within(_together(cells, names), threshold) for cells in seeds]),
            )
        )
    volumes = [("", "hypervolume", "masks evaluated")]
    kinds = {
        "front": [(cells["front"]["front"], cells["front"]["evaluations"]) for cells in seeds],
        "BEST of each threshold": [
            ([cells[name]["best"] for name in names], _spent(cells, names)) for cells in seeds
        ],
        "all of these searches": [(_together(cells, names), _spent(cells, names)) for cells in seeds],
    }
    for kind, found in kinds.items():
        shares = [hypervolume(points, limit) for points, _ in found]
        volumes.append((kind, spread(shares, digits=4), spread([spent for _, spent in found], digits=0)))
    noun = OBJECTIVES[settings["objective"]].noun
    return "\n\n".join(
        [
            f"{noun} dropped, percent; {len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}:",
            markdown_table(drops, align_right=True),
            f"Share of the box up to an accuracy drop of {limit:g}% that is dominated:",
            markdown_table(volumes, align_right=True),
        ]
    )


def front_figure(results: Mapping[str, Any]) -> Figure:
    """The first seed: the front of one search, those of the searches for one threshold each, and their BESTs."""
    settings, cells = results["settings"], results["seeds"][0]
    names = [f"{threshold:g}" for threshold in settings["thresholds"]]
    noun = OBJECTIVES[settings["objective"]].noun
    figure, axes = new_figure(7.2, 5.0)
    label: str | None = "searches for one threshold each"
    for name in names:
        drops, gains = np.array(sorted(cells[name]["front"])).T
        axes.step(drops, gains, where="post", color=GREY, linewidth=1.0, linestyle=(0, (4, 2)), label=label)
        label = None
    drops, gains = np.array([cells[name]["best"] for name in names]).T
    axes.scatter(drops, gains, color=VERMILION, s=42, zorder=4, label="their BESTs")
    drops, gains = np.array(sorted(cells["front"]["front"])).T
    axes.step(drops, gains, where="post", color=BLUE, linewidth=1.8, label="one search for the front")
    axes.set_xlabel("accuracy drop on the fitness images (%)", fontsize=10, color=INK)
    axes.set_ylabel(f"{noun} dropped (%)", fontsize=10, color=INK)
    legend(axes)
    spent = f"{cells['front']['evaluations']:,} masks and {_spent(cells, names):,}; seed 0"
    headline(axes, "One search for a front, and one for each threshold", spent, above_legend=True)
    return figure


def _together(cells: Mapping[str, Any], names: Sequence[str]) -> Points:
    return [point for name in names for point in cells[name]["front"]]


def _spent(cells: Mapping[str, Any], names: Sequence[str]) -> int:
    return sum(cells[name]["evaluations"] for name in names)
