"""Rounding of widths for hardware: every layer keeps a multiple of some number of filters, or all its filters.

Rounding is stochastic (Forsythe, "Reprint of a note on rounding-off errors", SIAM Review 1, 1959): with a
multiple of 8, 63 of 64 filters become 64 with probability 7/8 and 56 with probability 1/8, so the expected width
is unchanged. Rounding to the nearest would undo every mutation of a bit or two, and the search would stand still.
"""

import numpy as np

from engine.layout import Layout


def round_widths(rng: np.random.Generator, masks: np.ndarray, layout: Layout, multiple: int) -> np.ndarray:
    """Return or remove random filters of each layer until its width is allowed.

    Allowed widths are the positive multiples of ``multiple``, and the whole layer. A layer with fewer filters
    than ``multiple`` is kept whole. A width below the least allowed width always becomes the least.

    Args:
        rng: draws nothing if ``multiple`` is 1.
        masks: ``bool[n, f]``, no layer empty.
        layout: of the masks.
        multiple: 1 or more.

    Returns:
        ``bool[n, f]``; a layer of an allowed width is unchanged.
    """
    if multiple == 1:
        return masks
    kept, sizes = layout.kept(masks), np.asarray(layout.sizes)
    surplus = rounded(kept, sizes, multiple, rng.random(kept.shape)) - kept
    order = rng.random(masks.shape)
    parts = []
    for slices, draws, more in zip(
        layout.split(masks).values(), layout.split(order).values(), surplus.T[:, :, None], strict=True
    ):
        # Random order, the candidates first: removed filters if some return, kept filters if some go.
        ranks = np.where(slices == (more > 0), 1 + draws, draws).argsort(axis=1).argsort(axis=1)
        parts.append(slices ^ (ranks < abs(more)))
    return np.concatenate(parts, axis=1)


def rounded(kept: np.ndarray, sizes: np.ndarray, multiple: int, draws: np.ndarray) -> np.ndarray:
    """``int64[n, layers]``: allowed widths; their mean is ``kept``, unless that is below the least allowed width.

    Args:
        kept: ``int64[n, layers]``, 1 to the layer's size.
        sizes: ``int64[layers]``.
        multiple: 1 or more.
        draws: ``float64[n, layers]``, uniform in [0, 1); 0 rounds up.
    """
    below = kept // multiple * multiple
    above = np.minimum(below + multiple, sizes)
    # A whole layer has kept == above, so its share is 1 whatever its size.
    share = (kept - below) / np.maximum(above - below, 1)
    return np.where((draws < share) | (below == 0), above, below)
