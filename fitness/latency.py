"""Latency of masks from a table of measured layers; the objective's model of it."""

from dataclasses import dataclass

import numpy as np

from engine.layout import Layout
from models.latency.table import LatencyTable


@dataclass(frozen=True)
class MaskLatency:
    """The table of a network and the layout of its masks."""

    table: LatencyTable
    layout: Layout

    def __call__(self, masks: np.ndarray) -> np.ndarray:
        """See :class:`fitness.objective.LatencyModel`."""
        kept = self.layout.kept(masks)
        return self.table(dict(zip(self.layout.names, kept.T, strict=True)), len(masks))
