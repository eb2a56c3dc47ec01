"""Swap: removed filters of a layer take the places of kept ones, at the same cost."""

import numpy as np

from engine.guide import Guide
from engine.layout import Layout
from engine.variation.drawing import heavy_tailed, lowest


def swap(rng: np.random.Generator, masks: np.ndarray, layout: Layout, guide: Guide) -> np.ndarray:
    """``bool[n, f]``: in one layer of each row, as many kept filters leave as removed ones return.

    By the guide, blurred; a heavy-tailed number. A row keeps what it has where its layer has lost nothing.
    """
    rows, layers = np.arange(len(masks)), len(layout.sizes)
    keys = guide.draw(rng, len(masks))
    kept = layout.kept(masks)
    drawn = rng.integers(layers, size=len(masks))
    here = np.repeat(np.arange(layers), layout.sizes) == drawn[:, None]
    count = heavy_tailed(rng, np.minimum(kept[rows, drawn], np.asarray(layout.sizes)[drawn] - kept[rows, drawn]))
    gone = lowest(keys, masks & here, count)
    back = lowest(-keys, ~masks & here, count)
    return (masks & ~gone) | back
