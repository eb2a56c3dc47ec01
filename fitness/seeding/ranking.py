"""From an importance to nested masks along the order in which the filters leave."""

from collections.abc import Sequence

import numpy as np

from engine.errors import OptionError
from engine.layout import Layout
from engine.search.operators.rounding import rounded
from fitness.importance.contract import ImportanceError

SCOPES = ("global", "layer")
"""``global`` compares filters of all layers; ``layer`` removes equal shares of each layer."""


def check_scope(scope: str, floor: float) -> None:
    """Check arguments of :func:`removal_order`.

    Raises:
        OptionError: an unknown scope, or a floor outside 0 to 1.
    """
    if scope not in SCOPES:
        raise OptionError(f"`scope` must be one of {', '.join(SCOPES)}, not {scope!r}.")
    if not 0 <= floor <= 1:
        raise OptionError(f"`floor` is the share of each layer that stays, from 0 to 1, not {floor}.")


def removal_order(
    importance: np.ndarray, layout: Layout, *, scope: str = "global", floor: float = 0.0
) -> np.ndarray:
    """``int64[removable]``: filters in the order in which they leave, without the filters that the floor keeps.

    With scope ``global`` the least important filter of all leaves first. With scope ``layer`` the *i*-th least
    important of the *n* filters of a layer leaves at *i* / *n*, so that all layers lose equal shares until they
    reach their floor. Of equally important filters, the first in the layout leaves first.

    Args:
        importance: finite ``float64[n_filters]``, higher = keep.
        layout: of the filters.
        scope: ``global`` or ``layer``.
        floor: share of each layer that stays, rounded up: its most important filters, and at least one.

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
    """``bool[n, f]``: masks without the first ``removed``, ``int[n]``, filters of an order.

    Each layer keeps a multiple of ``multiple`` filters, or all. To round up, the filters due to leave last
    stay.
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


def masks_at(shares: Sequence[float], importance: np.ndarray, layout: Layout) -> np.ndarray:
    """``bool[n, f]``: masks without the least important ``shares``, from 0 to 1, of the filters of every layer.

    Numbers of filters are rounded down, and each layer keeps one at least.
    """
    masks = np.ones((len(shares), layout.n_filters), bool)
    for mask, share in zip(masks, shares, strict=True):
        mask[removal_order(importance, layout, floor=1 - share)] = False
    return masks


def most_removable(layout: Layout) -> int:
    """Most filters that can be removed: each layer keeps one."""
    return layout.n_filters - len(layout.names)


def remove_least(importance: np.ndarray, layout: Layout, count: int) -> np.ndarray:
    """The mask ``bool[n_filters]`` (True = keep) without the ``count`` least important filters.

    Layers are ranked together. Each layer keeps its most important filter.

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
            "finite; take another `method`."
        )
    if not 0 <= count <= most_removable(layout):
        raise ValueError(f"{count} filters cannot go without emptying a layer")
    return masks_along(removal_order(importance, layout), np.array([count]), layout)[0]


def removal_count(ratio: float, layout: Layout) -> int:
    """The number of filters in a share of all filters, rounded; half a filter counts as one."""
    return int(ratio * layout.n_filters + 0.5)
