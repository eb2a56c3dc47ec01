"""Compensation of the weights of a run, padded to the widths of its program.

A fold follows from a reader and its slice alone, never from other masks, workers or batches.
"""

from collections import OrderedDict
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from fitness.evaluation.compaction import Compaction
from models.compensation.folding import Prediction
from models.compensation.method import Compensation
from models.compensation.moments import reader_name
from models.contract import Stage

CACHED_BYTES = 256 * 2**20
"""Bytes of recent folds that are kept. A fold is needed again for the next batches, and for offspring."""


Fold = Prediction
"""Padded, so that few programs serve all masks: ``removed`` with the group's size, the others with zeros.

The number of rows follows from the width of the kept channels; ``matrix`` has a column for each channel that the
group is computed with, and the constants.
"""

Key = tuple[str, str]
"""Path of a reader's kernel, and the reader's group."""


class Folds:
    """The folds of a network's readers; none without compensation of weights."""

    def __init__(self, compensation: Compensation | None, compaction: Compaction):
        self._compensation = compensation
        self._compaction = compaction
        self._cache: OrderedDict[tuple[str, bytes], Fold] = OrderedDict()
        self._bytes = 0

    def of(self, stage: Stage, slices: Mapping[str, np.ndarray]) -> dict[Key, Fold]:
        """The folds of the readers of groups with removed channels."""
        if self._compensation is None or self._compensation.regression is None:
            return {}
        found = {}
        for reader in stage.readers():
            keep = slices.get(reader.group)
            if keep is not None and not keep.all():
                name = reader_name(stage, reader)
                found[reader.kernel, reader.group] = self._cached(self._compensation, name, keep)
        return found

    def outlined(self) -> "Folds":
        """The same with shapes in place of predictions, which takes no regression."""
        return _Outlines(self._compensation, self._compaction)

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
        kept, gone = np.flatnonzero(keep), np.flatnonzero(~keep)
        rows, width = self._shape(keep)
        # Where the group is computed whole, kept channels are in their own places, else in front.
        columns = kept if width == len(keep) else np.arange(len(kept))
        removed = np.full(rows, len(keep), np.int32)
        matrix = np.zeros((rows, width + 1), np.float32)
        removed[: len(gone)] = gone
        matrix[: len(gone), columns] = found.matrix
        matrix[: len(gone), -1] = found.constant
        return Fold(removed, jnp.asarray(matrix))

    def _shape(self, keep: np.ndarray) -> tuple[int, int]:
        """Rows and columns of the matrix of a fold."""
        size = len(keep)
        width = self._compaction.width(size, int(np.count_nonzero(keep)))
        return self._compaction.removed_width(size, width), width


class _Outlines(Folds):
    """Folds of shapes."""

    def _cached(self, compensation: Compensation, reader: str, keep: np.ndarray) -> Fold:
        rows, width = self._shape(keep)
        return Fold(np.zeros(rows, np.int32), jax.ShapeDtypeStruct((rows, width + 1), jnp.float32))


def _size(fold: Fold) -> int:
    return sum(array.nbytes for array in fold)
