"""Move budget: keep fewer filters of one layer and, every other time, more of another."""

import numpy as np

from engine.guide import Guide
from engine.layout import Layout
from engine.variation.drawing import heavy_tailed, lowest


def move_budget(rng: np.random.Generator, masks: np.ndarray, layout: Layout, guide: Guide) -> np.ndarray:
    """``bool[n, f]``: of each row the filters that the guide would let go first leave a layer drawn at random.

    In half of the rows those that it would let go last return to another. Both amounts are heavy-tailed. One
    filter stays in each layer.
    """
    rows, layers = np.arange(len(masks)), len(layout.sizes)
    keys = guide.draw(rng, len(masks))
    kept = layout.kept(masks)
    layer = np.repeat(np.arange(layers), layout.sizes)
    donor = rng.integers(layers, size=len(masks))
    recipient = (donor + rng.integers(1, max(2, layers), size=len(masks))) % layers
    leaving = heavy_tailed(rng, np.maximum(0, kept[rows, donor] - 1))
    returning = heavy_tailed(rng, np.asarray(layout.sizes)[recipient] - kept[rows, recipient])
    returning[rng.random(len(masks)) < 0.5] = 0
    gone = lowest(keys, masks & (layer == donor[:, None]), leaving)
    back = lowest(-keys, ~masks & (layer == recipient[:, None]), returning)
    return (masks & ~gone) | back
