"""A front for people and for JSON, from arrays alone."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from engine.layout import mask_sha256
from engine.search.front import Front
from experiments.markdown import markdown_table

MOST_POINTS = 20
"""Rows of a table up to which a front is shown whole."""

Point = TypeVar("Point")


def front_json(front: Front, masks: np.ndarray) -> dict[str, Any]:
    """size, hypervolume and points: the figures of each mask and its name, by rising accuracy drop.

    ``masks``: ``bool[k, f]``, those of the front.
    """
    points = [
        {**{name: values[place].item() for name, values in front.figures.items()}, "sha256": mask_sha256(mask)}
        for place, mask in enumerate(masks)
    ]
    return {"size": len(front), "hypervolume": front.hypervolume(), "points": points}


def front_table(front: dict[str, Any]) -> str:
    """What :func:`front_json` gives as a Markdown table, thinned."""
    rows: list[tuple[str, ...]] = [("accuracy drop", "parameters dropped", "MACs dropped")]
    for point in thinned(front["points"]):
        shown = (point["accuracy_drop"], point["parameter_drop"], point["mac_drop"])
        # Adding zero turns a rounded -0.0 into 0.0.
        rows.append(tuple(f"{round(value, 2) + 0.0:.2f}%" for value in shown))
    told = f"{min(front['size'], MOST_POINTS):,} of the {front['size']:,} masks that no other surpasses"
    return f"{told}:\n\n{markdown_table(rows, align_right=True)}"


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most ``most`` of the points, evenly spaced and with both ends."""
    if len(points) <= most:
        return list(points)
    return [points[round(place * (len(points) - 1) / (most - 1))] for place in range(most)]
