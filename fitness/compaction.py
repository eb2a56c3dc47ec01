"""Where a mask has removed enough channels, computing with the others alone.

A group is computed at one of a few widths: whole, with its removed channels silenced, or at the smallest
width that holds the kept ones, the rest filled up with channels that are zero. Few widths mean few programs
to compile; and since the width follows from the slice alone, so does every rounding of a mask's count,
whatever company the mask is evaluated in.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Compaction:
    """The widths at which groups are computed.

    Attributes:
        widths: at most this many for a group, evenly spaced.
        spacing: the least distance between two; fewer channels are not worth a program of their own.
    """

    widths: int = 16
    spacing: int = 16

    def width(self, size: int, kept: int) -> int:
        """Width for a group of ``size`` channels of which ``kept`` stay; ``size`` means no compaction."""
        step = self._step(size)
        return min(size, step * max(1, -(-kept // step)))

    def removed_width(self, size: int, width: int) -> int:
        """Removed channels that a group of ``size`` channels computed at ``width`` can have, at most."""
        return min(size, size - width + self._step(size))

    def indices(self, keep: np.ndarray) -> np.ndarray | None:
        """Kept channels of ``bool[c]`` as ``int32[width]``, filled up with ``c``; None: no compaction."""
        size = len(keep)
        kept = np.flatnonzero(keep)
        width = self.width(size, len(kept))
        if width == size:
            return None
        return np.concatenate([kept, np.full(width - len(kept), size)]).astype(np.int32)

    def _step(self, size: int) -> int:
        return max(self.spacing, -(-size // self.widths))


WHOLE = Compaction(widths=1)
"""Every group at its full width: no compaction."""
