"""An archive as the arrays of a file."""

from collections.abc import Mapping

import numpy as np

from engine.archive import Archive
from engine.checked_arrays import checked_array, checked_masks
from engine.contracts import STOPPED
from engine.layout import Layout


def archive_arrays(archive: Archive) -> dict[str, np.ndarray]:
    """Packed masks and counts."""
    masks, correct = archive.to_arrays()
    return {"archive_masks": masks, "archive_correct": correct}


def read_archive(arrays: Mapping[str, np.ndarray], layout: Layout) -> Archive:
    """Inverse of :func:`archive_arrays`.

    Raises:
        KeyError: an array is missing.
        ValueError: they are no distinct masks of the layout, each with its count.
    """
    masks = checked_masks(arrays, "archive_masks", layout, None)
    correct = checked_array(arrays, "archive_correct", np.int64, len(masks))
    if (correct < STOPPED).any():
        raise ValueError(f"its archive has the count {correct.min()}")
    archive = Archive.from_arrays(layout, masks, correct)
    if len(archive) < len(masks):
        raise ValueError("its archive has a mask twice")
    return archive
