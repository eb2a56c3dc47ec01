"""Block flips: several filters of one layer at once."""

import numpy as np

from engine.layout import Layout
from engine.variation.drawing import heavy_tailed, lowest


def flip_blocks(rng: np.random.Generator, masks: np.ndarray, layout: Layout) -> np.ndarray:
    """``bool[n, f]``: in each row a heavy-tailed number of filters of one layer flips, up to half of it.

    The layer is drawn in proportion to its filters, the filters evenly.
    """
    sizes = np.asarray(layout.sizes)
    drawn = rng.choice(len(sizes), len(masks), p=sizes / layout.n_filters)
    here = np.repeat(np.arange(len(sizes)), sizes) == drawn[:, None]
    count = heavy_tailed(rng, (sizes[drawn] + 1) // 2)
    return masks ^ lowest(rng.random(masks.shape), here, count)
