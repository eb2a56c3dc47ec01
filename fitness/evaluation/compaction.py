"""Compaction: computing with the kept channels alone where a mask has removed enough.

A group is computed at one of a few widths. Either the group is whole and its removed channels are silenced, or
it has the smallest width that holds the kept channels, padded with zero channels. Few widths mean few programs
to compile. The width follows from the slice alone, so the rounding of a mask's results does not depend on the
other masks.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Compaction:
    """The widths at which groups are computed.

    Attributes:
        widths: most widths of a group, evenly spaced.
        spacing: least distance between two widths; fewer channels are not worth another program.
    """

    widths: int = 16
    spacing: int = 16

    def width(self, size: int, kept: int) -> int:
        """Width of a group of ``size`` channels with ``kept`` kept; ``size`` means no compaction."""
        step = self._step(size)
        return min(size, step * max(1, -(-kept // step)))

    def removed_width(self, size: int, width: int) -> int:
        """Most removed channels of a group of ``size`` channels that is computed at ``width``."""
        return min(size, size - width + self._step(size))

    def indices(self, keep: np.ndarray) -> np.ndarray | None:
        """Kept channels of ``bool[c]`` as ``int32[width]``, padded with ``c``; None for no compaction."""
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
