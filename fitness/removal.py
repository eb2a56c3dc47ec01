"""From importances to the mask that removes the least important filters."""

import numpy as np

from engine.layout import Layout
from fitness.importance.errors import ImportanceError


def most_removable(layout: Layout) -> int:
    """How many filters can go at most: each layer keeps one."""
    return layout.n_filters - len(layout.names)


def remove_least(importance: np.ndarray, layout: Layout, count: int) -> np.ndarray:
    """The mask ``bool[n_filters]`` (True = keep) without the ``count`` least important filters.

    Layers are ranked together. The last filter of a layer, its most important one, is passed over. Equal
    importances go in the order of the layout, the first one first.

    Args:
        importance: finite ``float64[n_filters]``, higher = keep.
        layout: of the mask.
        count: from 0 to :func:`most_removable`.

    Raises:
        ImportanceError: the importance has another length, or is not finite.
        ValueError: ``count`` would empty a layer.
    """
    if importance.shape != (layout.n_filters,) or not np.isfinite(importance).all():
        raise ImportanceError(
            f"an importance must be {layout.n_filters} finite numbers, not {importance.dtype}"
            f"{list(importance.shape)} with {int(np.count_nonzero(~np.isfinite(importance)))} that are not "
            "finite; take another --method."
        )
    if not 0 <= count <= most_removable(layout):
        raise ValueError(f"{count} filters cannot go without emptying a layer")
    order = np.argsort(importance, kind="stable")
    layers = np.repeat(np.arange(len(layout.sizes)), layout.sizes)
    removable = np.ones(layout.n_filters, bool)
    for layer in range(len(layout.sizes)):
        removable[order[layers[order] == layer][-1]] = False
    mask = layout.full()
    mask[order[removable[order]][:count]] = False
    return mask
