"""Guided flips: single filters of all layers, the unlikelier the more a guide speaks against them."""

import numpy as np

from engine.guide import Guide
from engine.layout import Layout
from engine.variation.drawing import heavy_tailed, lowest


def flip_guided(rng: np.random.Generator, masks: np.ndarray, layout: Layout, guide: Guide) -> np.ndarray:
    """``bool[n, f]``: in each row a heavy-tailed number of filters flips, up to a quarter of all.

    A kept filter is drawn with a weight of 1 less its place in its layer, a removed one with its place, without
    replacement (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
    """
    places = guide.places[rng.integers(len(guide.places), size=len(masks))]
    weights = np.where(masks, 1 - places, places)
    count = heavy_tailed(rng, np.full(len(masks), max(1, layout.n_filters // 4)))
    waiting = rng.standard_exponential(masks.shape) / weights
    return masks ^ lowest(waiting, np.ones(masks.shape, bool), count)
