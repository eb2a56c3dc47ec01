"""Offspring that cannot matter are drawn anew before anything is spent on them.

An offspring is pointless if it was evaluated before, if it stands in its brood already, or if a full population
would not take it even with every image right. What a mask costs is known beforehand, accuracy is not: so only
masks that would be worth their evaluation are evaluated.
"""

from collections.abc import Callable

import numpy as np

ATTEMPTS = 10
"""After so many draws an offspring is evaluated, whatever it is."""


def redrawn(
    masks: np.ndarray,
    draw: Callable[[np.ndarray], np.ndarray],
    pointless: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """``bool[n, f]``: those of ``masks`` that are not pointless, and others in place of those that are.

    Args:
        masks: the first draw.
        draw: row numbers ``int[m]`` -> that many masks, drawn anew for these rows.
        pointless: ``bool[n, f]`` -> ``bool[n]``; repetitions among the masks are found here.
    """
    masks = masks.copy()
    for _ in range(ATTEMPTS):
        again = pointless(masks)
        _, first = np.unique(np.packbits(masks, axis=1), axis=0, return_index=True)
        again |= ~np.isin(np.arange(len(masks)), first)
        rows = np.flatnonzero(again)
        if len(rows) == 0:
            break
        masks[rows] = draw(rows)
    return masks
