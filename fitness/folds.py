"""What compensation adds to the weights of a run, in the widths that its program has.

A fold follows from a reader and its slice alone, never from other masks, workers or batches.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fitness.compaction import Compaction
from models.compensation.compensation import Compensation
from models.compensation.moments import reader_name
from models.stages import Stage

CACHED_BYTES = 256 * 2**20
"""Folds of the last slices are kept: each is needed for every few batches of a shard, and again for offspring."""


class Fold(NamedTuple):
    """Coefficients of removed channels, filled up to a width that follows from that of the kept ones.

    ``removed``: ``int32[r]`` channels, filled up with the group's size; ``matrix``: ``float32[r, k]``, k being
    the width at which the group is computed; ``constant``: ``float32[r]``. Zeros where they are filled up.
    """

    removed: jax.Array
    matrix: jax.Array
    constant: jax.Array


class Folds:
    """The folds of a network's readers; none without compensation."""

    def __init__(self, compensation: Compensation | None, compaction: Compaction):
        self._compensation = compensation
        self._compaction = compaction
        self._cache: OrderedDict[tuple[str, bytes], Fold] = OrderedDict()
        self._bytes = 0

    def of(self, stage: Stage, slices: Mapping[str, np.ndarray]) -> dict[str, Fold]:
        """Path of a reader's kernel -> its fold, for readers of groups of which something is removed."""
        if self._compensation is None:
            return {}
        return {
            reader.kernel: self._cached(self._compensation, reader_name(stage, reader), slices[reader.group])
            for reader in stage.readers()
            if reader.group in slices and not slices[reader.group].all()
        }

    def _cached(self, compensation: Compensation, reader: str, keep: np.ndarray) -> Fold:
        key = reader, keep.tobytes()
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        made = self._made(compensation, reader, keep)
        self._cache[key] = made
        self._bytes += _size(made)
        while self._bytes > CACHED_BYTES and len(self._cache) > 1:
            self._bytes -= _size(self._cache.popitem(last=False)[1])
        return made

    def _made(self, compensation: Compensation, reader: str, keep: np.ndarray) -> Fold:
        found = compensation.coefficients(reader, keep)
        size = len(keep)
        kept, gone = np.flatnonzero(keep), np.flatnonzero(~keep)
        width = self._compaction.width(size, len(kept))
        # Where the group is computed whole, kept channels are in their own places, else in front.
        columns = kept if width == size else np.arange(len(kept))
        rows = self._compaction.removed_width(size, width)
        removed = np.full(rows, size, np.int32)
        matrix, constant = np.zeros((rows, width), np.float32), np.zeros(rows, np.float32)
        removed[: len(gone)] = gone
        matrix[: len(gone), columns] = found.matrix
        constant[: len(gone)] = found.constant
        return Fold(jnp.asarray(removed), jnp.asarray(matrix), jnp.asarray(constant))


def _size(fold: Fold) -> int:
    return sum(array.nbytes for array in fold)
