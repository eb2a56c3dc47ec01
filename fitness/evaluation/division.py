"""How images and masks are divided: images into batches, rounds and shards, masks into blocks.

Batches and rounds decide how images are grouped. They do not depend on the number of workers, and neither does
the archive of a search. Shards and blocks are the tasks of the workers, and have no influence on counts.
"""

from typing import NamedTuple

import numpy as np

from engine.errors import DataError

PADDING = -1
"""Label of the images that fill up the last batch. They count as neither right nor wrong."""

ROUNDS = 8
"""Most rounds. A pause costs a little sharing of weights and, on a cluster, waiting for the slowest shard."""

ROUND_IMAGES = 512
"""Fewest images of a round, which keep the weights of a run in use for some time."""

ORDERS = ("given", "hardest-first")
"""Orders of the images: as they were given, or by :func:`hardest_first`."""

SHARDS_PER_WORKER = 4
"""Shards of a round for each worker. An idle worker then finds another shard to take."""

SHARD_BATCHES = 4
"""Fewest batches of a shard, unless a worker would get none: each shard cuts the weights of a run again."""

TASKS_PER_WORKER = 4
"""With fewer tasks, workers are idle at the end of a round, because some are slower than others."""

BLOCK_MASKS = 32
"""Fewest masks of a block. Fewer masks share little work."""


class Batches(NamedTuple):
    """``k`` batches of ``b`` images, all of one shape, so that every program compiles once.

    The last batch is padded with black images labelled :data:`PADDING`.

    Attributes:
        images: ``uint8[k, b, height, width, channels]``.
        labels: ``int32[k, b]``.
    """

    images: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, labels: np.ndarray, largest: int) -> "Batches":
        """Cut ``uint8[n, ...]`` and ``int32[n]`` into batches of at most ``largest`` images.

        The size of a batch is the size that needs least padding. It depends on ``n`` and ``largest`` alone, so an
        image has the same neighbours on every worker.

        Raises:
            DataError: there are no images.
        """
        return cls.cut(images, labels, batch_size(len(images), largest))

    @classmethod
    def cut(cls, images: np.ndarray, labels: np.ndarray, size: int) -> "Batches":
        """Cut ``uint8[n, ...]`` and ``int32[n]`` into batches of ``size`` images."""
        count = -(-len(images) // size)
        padding = count * size - len(images)
        if padding:
            images = np.concatenate([images, np.zeros((padding, *images.shape[1:]), np.uint8)])
        marks = np.concatenate([labels.astype(np.int32), np.full(padding, PADDING, np.int32)])
        return cls(images.reshape(count, size, *images.shape[1:]), marks.reshape(count, size))

    def shards(self, count: int) -> list["Batches"]:
        """The batches in at most ``count`` parts of nearly equal length."""
        parts = np.array_split(np.arange(len(self.images)), min(count, len(self.images)))
        return [self.part(part) for part in parts]

    def part(self, batches: np.ndarray) -> "Batches":
        """The batches at ``int64[k]``, one after the other without a gap; shares their memory."""
        chosen = slice(batches[0], batches[-1] + 1)
        return Batches(self.images[chosen], self.labels[chosen])


def batch_size(total: int, largest: int) -> int:
    """Images of a batch: the size that needs least padding, at most ``largest``.

    Raises:
        DataError: there are no images.
    """
    if total == 0:
        raise DataError("there are no images to evaluate masks on; give more with `images`.")
    return -(-total // -(-total // largest))


def rounds(batches: int, total: int, pauses: bool) -> list[np.ndarray]:
    """The batches of each round, for ``total`` images. Between rounds an evaluation can stop hopeless masks.

    One round if ``pauses`` is False.
    """
    if not pauses:
        return [np.arange(batches)]
    count = max(1, min(ROUNDS, batches, total // ROUND_IMAGES))
    return np.array_split(np.arange(batches), count)


def hardest_first(margins: np.ndarray) -> np.ndarray:
    """The order of images by ``float32[total]`` margins: wrong answers of the original network, then close calls.

    A mask loses most of its images there, so this order shows early which masks lose too many. NaN comes last.
    """
    return np.argsort(margins, kind="stable")


def shard_count(batches: int, workers: int) -> int:
    """Shards of a round of ``batches``: the same number for each worker."""
    if workers == 1:
        return 1
    each = max(1, min(SHARDS_PER_WORKER, batches // (SHARD_BATCHES * workers)))
    return min(batches, each * workers)


def block_count(masks: int, shards: int, workers: int) -> int:
    """Blocks of masks: more than one if the shards alone are too few tasks for the workers.

    Masks of different blocks share no work, so masks are divided only after images.
    """
    if workers == 1:
        return 1
    return max(1, min(masks // BLOCK_MASKS, -(-TASKS_PER_WORKER * workers // shards)))
