"""Images as batches of one fixed shape, so that every stage compiles once."""

from typing import NamedTuple

import numpy as np

from engine.errors import DataError

PADDING = -1
"""Label of the images that fill up the last batch; they count as neither right nor wrong."""


class Batches(NamedTuple):
    """``k`` batches of ``b`` images. The tail is padded with black images labelled :data:`PADDING`.

    ``images``: ``uint8[k, b, height, width, channels]``; ``labels``: ``int32[k, b]``.
    """

    images: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, labels: np.ndarray, largest: int) -> "Batches":
        """Cut ``uint8[n, ...]`` and ``int32[n]`` into batches of at most ``largest`` images.

        The size is the one that wastes least on padding. It depends on ``n`` and ``largest`` alone, so an
        image meets the same neighbours whoever evaluates it.

        Raises:
            DataError: there are no images.
        """
        total = len(images)
        if total == 0:
            raise DataError("there are no images to evaluate masks on; give more with --images.")
        count = -(-total // largest)
        size = -(-total // count)
        padding = count * size - total
        padded = np.concatenate([images, np.zeros((padding, *images.shape[1:]), np.uint8)])
        marks = np.concatenate([labels.astype(np.int32), np.full(padding, PADDING, np.int32)])
        return cls(padded.reshape(count, size, *images.shape[1:]), marks.reshape(count, size))

    def shards(self, count: int) -> list["Batches"]:
        """The batches in at most ``count`` runs of nearly equal length."""
        parts = np.array_split(np.arange(len(self.images)), min(count, len(self.images)))
        return [Batches(self.images[part], self.labels[part]) for part in parts]
