"""Accuracy drop against parameter drop of every mask that a search has a full count of."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.contracts import FAILED, STOPPED
from engine.state import SearchState
from fitness.genome import Genome
from fitness.objective import percent_drop

_AT_ONCE = 4096
"""Masks unpacked at a time; bounds the memory of a long search's archive."""


@dataclass(frozen=True)
class TradeOff:
    """What an archive says of its masks, in the order in which they were evaluated.

    Attributes:
        parameter_drop: ``float64[n]``, percent of the original network.
        accuracy_drop: ``float64[n]``, percent of the original's accuracy on the fitness images.
        stopped: masks that were stopped early and so have no count.
        failed: masks that answered NaN or infinity.
    """

    parameter_drop: np.ndarray
    accuracy_drop: np.ndarray
    stopped: int
    failed: int

    @classmethod
    def of(cls, state: SearchState, genome: Genome) -> "TradeOff":
        """The trade-off of all that a search has evaluated."""
        packed, correct = state.archive.to_arrays()
        counted = (correct != FAILED) & (correct != STOPPED)
        kept = packed[counted]
        original = int(genome(genome.layout.full()[None]).parameters[0])
        parts = [
            genome(genome.layout.unpack(kept[first : first + _AT_ONCE])).parameters
            for first in range(0, len(kept), _AT_ONCE)
        ]
        parameters = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        return cls(
            percent_drop(original, parameters),
            percent_drop(state.original_correct, correct[counted]),
            stopped=state.archive.stopped(),
            failed=state.archive.failures(),
        )

    def front(self) -> np.ndarray:
        """Indices of the masks that none surpasses: none drops as many parameters at less accuracy drop.

        In order of parameter drop; of equal masks the one evaluated first.
        """
        order = np.lexsort((np.arange(len(self.accuracy_drop)), self.accuracy_drop, -self.parameter_drop))
        lowest = np.minimum.accumulate(self.accuracy_drop[order])
        better = np.r_[True, self.accuracy_drop[order][1:] < lowest[:-1]] if len(order) else np.zeros(0, bool)
        return order[better][::-1]

    def to_json(self, threshold: float) -> dict[str, Any]:
        """How many there are, how many of them within the threshold, and the front, as plain values."""
        front = self.front()
        return {
            "masks": len(self.accuracy_drop),
            "within_threshold": int(np.count_nonzero(self.accuracy_drop < threshold)),
            "stopped": self.stopped,
            "failed": self.failed,
            "front": [
                {"parameter_drop": float(self.parameter_drop[i]), "accuracy_drop": float(self.accuracy_drop[i])}
                for i in front
            ],
        }
