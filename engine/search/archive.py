"""The archive: the count of every mask ever evaluated, so that no mask is evaluated twice."""

from itertools import islice

import numpy as np

from engine.contracts import FAILED, STOPPED
from engine.layout import Layout


class Archive:
    """Map from packed masks to counts, FAILED or STOPPED, in order of insertion."""

    def __init__(self, layout: Layout):
        self._layout = layout
        self._counts: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def missing(self, masks: np.ndarray) -> np.ndarray:
        """The distinct rows of ``bool[n, f]`` that are not in the archive, in order of first appearance."""
        keys = self._keys(masks)
        fresh = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self._counts}
        return masks[sorted(fresh.values())]

    def known(self, masks: np.ndarray) -> np.ndarray:
        """``bool[n]``: which rows of ``bool[n, f]`` are in the archive."""
        return np.array([key in self._counts for key in self._keys(masks)], bool)

    def add(self, masks: np.ndarray, correct: np.ndarray) -> None:
        """Add masks ``bool[n, f]`` with their counts ``int64[n]``."""
        self._counts.update(zip(self._keys(masks), map(int, correct), strict=True))

    def counts(self) -> np.ndarray:
        """``int64[n]``: all counts, in order of insertion."""
        return np.fromiter(self._counts.values(), np.int64, len(self._counts))

    def failures(self) -> int:
        """Number of masks that failed."""
        return sum(count == FAILED for count in self._counts.values())

    def stopped(self) -> int:
        """Number of masks whose evaluation was stopped early."""
        return sum(count == STOPPED for count in self._counts.values())

    def look_up(self, masks: np.ndarray) -> np.ndarray:
        """``int64[n]``: the counts of ``bool[n, f]``, which must all be in the archive."""
        return np.array([self._counts[key] for key in self._keys(masks)], np.int64)

    def to_arrays(self, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Packed masks ``uint8[n, bytes]`` and counts ``int64[n]``, as inserted, from row ``first`` on."""
        width = (self._layout.n_filters + 7) // 8
        packed = np.frombuffer(b"".join(islice(self._counts, first, None)), np.uint8).reshape(-1, width)
        return packed, np.fromiter(islice(self._counts.values(), first, None), np.int64, len(packed))

    def masks(self, rows: np.ndarray) -> np.ndarray:
        """``bool[n, f]``: the masks in ``rows``, ``int64[n]``, numbered in order of insertion."""
        return self._layout.unpack(self.to_arrays()[0][rows])

    @classmethod
    def from_arrays(cls, layout: Layout, packed: np.ndarray, correct: np.ndarray) -> "Archive":
        """Inverse of :meth:`to_arrays`."""
        archive = cls(layout)
        archive._counts = {row.tobytes(): c for row, c in zip(packed, correct.tolist(), strict=True)}
        return archive

    def _keys(self, masks: np.ndarray) -> list[bytes]:
        return [row.tobytes() for row in self._layout.pack(masks)]
