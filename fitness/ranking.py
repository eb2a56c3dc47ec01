"""From importance to masks: one order in which the filters leave, so that the masks along it are nested."""

import numpy as np

from engine.errors import OptionError
from engine.layout import Layout

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


def masks_along(order: np.ndarray, removed: np.ndarray, layout: Layout) -> np.ndarray:
    """``bool[n, f]``: masks without the first ``removed``, ``int[n]``, filters of an order, all of it at most."""
    masks = np.ones((len(removed), layout.n_filters), bool)
    for mask, count in zip(masks, removed, strict=True):
        mask[order[:count]] = False
    return masks


def removal_count(ratio: float, layout: Layout) -> int:
    """Filters in a share of all, rounded; half a filter counts as one."""
    return int(ratio * layout.n_filters + 0.5)
