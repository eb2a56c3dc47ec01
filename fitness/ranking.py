"""From importance to masks: one order in which the filters leave, so that the masks along it are nested."""

import numpy as np

from engine.errors import OptionError
from engine.layout import Layout
from engine.rounding import rounded

SCOPES = ("global", "layer")
"""Compare filters with all others, or take equal shares of each layer."""


def check_scope(scope: str, floor: float) -> None:
    """Refuse what :func:`removal_order` cannot order by.

    Raises:
        OptionError: an unknown scope, or a floor outside 0 to 1.
    """
    if scope not in SCOPES:
        raise OptionError(f"--scope must be one of {', '.join(SCOPES)}, not {scope!r}.")
    if not 0 <= floor <= 1:
        raise OptionError(f"--floor is the share of each layer that stays, from 0 to 1, not {floor}.")


def removal_order(
    importance: np.ndarray, layout: Layout, *, scope: str = "global", floor: float = 0.0
) -> np.ndarray:
    """``int64[removable]``: filters from the first to leave to the last, without those that the floor keeps.

    Globally the least important of all leaves first. By layer, the filter that is number *i* from below of *n* in
    its layer leaves at *i* / *n*, so that all layers lose equal shares until they reach their floor. Of equals
    the one that stands first leaves first.

    Args:
        importance: finite ``float64[n_filters]``, higher = keep.
        layout: of the filters.
        scope: ``global`` or ``layer``.
        floor: share of each layer that stays, rounded up; its most important filters. One stays in any case.

    Raises:
        OptionError: see :func:`check_scope`.
    """
    check_scope(scope, floor)
    places = [np.argsort(np.argsort(part, kind="stable")) for part in layout.split(importance).values()]
    place = np.concatenate(places)
    size = np.repeat(layout.sizes, layout.sizes)
    # The margin keeps 0.1 of 30 filters from being 3.0000000000000004, which would round up to 4.
    staying = np.maximum(1, np.ceil(floor * size - 1e-9))
    removable = np.flatnonzero(place < size - staying)
    key = importance if scope == "global" else (place + 1) / size
    return removable[np.argsort(key[removable], kind="stable")]


def masks_along(order: np.ndarray, removed: np.ndarray, layout: Layout, multiple: int = 1) -> np.ndarray:
    """``bool[n, f]``: masks without the first ``removed``, ``int[n]``, filters of an order, all of it at most.

    Each layer keeps a ``multiple`` of filters, or all: of those that would have left it, the last stay.
    """
    masks = np.ones((len(removed), layout.n_filters), bool)
    layer = np.repeat(np.arange(len(layout.sizes)), layout.sizes)[order]
    # How many of the order leave a filter's layer before it does.
    before = np.zeros(len(order), np.int64)
    for number in range(len(layout.sizes)):
        before[layer == number] = np.arange(np.count_nonzero(layer == number))
    sizes = np.asarray(layout.sizes)
    for mask, count in zip(masks, removed, strict=True):
        kept = sizes - np.bincount(layer[:count], minlength=len(sizes))
        leaving = sizes - rounded(kept, sizes, multiple, np.zeros(len(sizes)))
        mask[order[:count][before[:count] < leaving[layer[:count]]]] = False
    return masks


def removal_count(ratio: float, layout: Layout) -> int:
    """Filters in a share of all, rounded; half a filter counts as one."""
    return int(ratio * layout.n_filters + 0.5)
