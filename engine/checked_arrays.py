"""Arrays read from a file, held to what they must be: a checksum that fits proves nothing about its content."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

from engine.layout import Layout


def checked_array(
    arrays: Mapping[str, np.ndarray], name: str, dtype: DTypeLike, *shape: int | None
) -> np.ndarray:
    """One of the arrays, if it has this dtype and shape; None is any length.

    Raises:
        KeyError: it is missing.
        ValueError: it has another dtype or shape.
    """
    array = arrays[name]
    fits = array.ndim == len(shape) and all(
        wanted is None or length == wanted for length, wanted in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = ", ".join("n" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} is {array.dtype}{list(array.shape)}, not {np.dtype(dtype)}[{wanted}]")
    return array


def checked_masks(arrays: Mapping[str, np.ndarray], name: str, layout: Layout, *shape: int | None) -> np.ndarray:
    """Packed masks ``uint8[*shape, ceil(f / 8)]``, with zeros behind the last filter.

    Raises:
        KeyError: they are missing.
        ValueError: they are masks of another layout, or a bit behind the last filter is set.
    """
    packed = checked_array(arrays, name, np.uint8, *shape, (layout.n_filters + 7) // 8)
    behind = 0xFF >> (layout.n_filters % 8 or 8)
    # Such a mask would equal none that is asked for, and be evaluated again.
    if (packed[..., -1] & behind).any():
        raise ValueError(f"{name} has bits behind the last filter")
    return packed
