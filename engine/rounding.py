"""Widths that hardware likes: every layer keeps a multiple of some number of filters, or all that it has.

Rounding is stochastic (Forsythe 1959, "Reprint of a note on rounding-off errors", SIAM Review 1): 63 of 64
filters become 64 with probability 7/8 and 56 with 1/8, so that the expected width stays what it was. Were it to
the nearest, a mutation of a bit or two would always be undone and the search would stand still.
"""

import numpy as np

from engine.layout import Layout


def round_widths(rng: np.random.Generator, masks: np.ndarray, layout: Layout, multiple: int) -> np.ndarray:
    """Revive or remove filters at random within each layer until its width is allowed.

    Allowed are the multiples of ``multiple`` from 1 times it, and the whole layer; a layer of fewer filters than
    ``multiple`` is kept whole. A width below the least allowed becomes that one, for certain.

    Args:
        rng: draws nothing where ``multiple`` is 1.
        masks: ``bool[n, f]``, no layer empty.
        layout: of the masks.
        multiple: 1 or more.

    Returns:
        ``bool[n, f]``; a layer whose width was allowed is as it was.
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
        # The removed come first where filters are revived, the kept where some are removed, in random order.
        ranks = np.where(slices == (more > 0), 1 + draws, draws).argsort(axis=1).argsort(axis=1)
        parts.append(slices ^ (ranks < abs(more)))
    return np.concatenate(parts, axis=1)


def rounded(kept: np.ndarray, sizes: np.ndarray, multiple: int, draws: np.ndarray) -> np.ndarray:
    """Allowed widths ``int64[n, layers]``; on average ``kept``, where that is not below the least allowed.

    Args:
        kept: ``int64[n, layers]``, 1 to the layer's size.
        sizes: ``int64[layers]``.
        multiple: 1 or more.
        draws: ``float64[n, layers]``, uniform in [0, 1); 0 rounds up.
    """
    below = kept // multiple * multiple
    above = np.minimum(below + multiple, sizes)
    # A whole layer has kept == above: whatever its size, its share is 1.
    share = (kept - below) / np.maximum(above - below, 1)
    return np.where((draws < share) | (below == 0), above, below)
