"""Accuracy drop against parameter drop and MAC drop of every mask that was counted on all fitness images."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.contracts import FAILED, STOPPED
from engine.search.front import non_dominated
from engine.search.state import SearchState
from fitness.genome import Genome
from fitness.objective.cost import percent_drop

_AT_ONCE = 4096
"""Masks unpacked at a time; bounds the memory of a long search's archive."""


@dataclass(frozen=True)
class TradeOff:
    """Drops of the masks of an archive, in the order of their evaluation.

    Attributes:
        parameter_drop: ``float64[n]``, percent of the original network.
        mac_drop: likewise.
        accuracy_drop: ``float64[n]``, percent of the original's accuracy on the fitness images.
        stopped: masks that were stopped early and so have no count.
        failed: masks that answered NaN or infinity.
    """

    parameter_drop: np.ndarray
    mac_drop: np.ndarray
    accuracy_drop: np.ndarray
    stopped: int
    failed: int

    @classmethod
    def of(cls, state: SearchState, genome: Genome) -> "TradeOff":
        """The trade-off of all masks that a search has evaluated."""
        packed, correct = state.archive.to_arrays()
        counted = (correct != FAILED) & (correct != STOPPED)
        kept = packed[counted]
        original = genome(genome.layout.full()[None])
        # At least one chunk, because `concatenate` needs an array.
        costs = [
            genome(genome.layout.unpack(kept[first : first + _AT_ONCE]))
            for first in range(0, max(1, len(kept)), _AT_ONCE)
        ]
        return cls(
            percent_drop(original.parameters[0], np.concatenate([cost.parameters for cost in costs])),
            percent_drop(original.macs[0], np.concatenate([cost.macs for cost in costs])),
            percent_drop(state.original_correct, correct[counted]),
            stopped=state.archive.stopped(),
            failed=state.archive.failures(),
        )

    def dropped(self, name: str) -> np.ndarray:
        """``float64[n]``: the drop called ``parameter_drop`` or ``mac_drop``."""
        return {"parameter_drop": self.parameter_drop, "mac_drop": self.mac_drop}[name]

    def front(self, name: str = "parameter_drop") -> np.ndarray:
        """Indices of the masks that no mask surpasses in accuracy drop and in the drop ``name``.

        In order of that drop; of equal masks, the mask that was evaluated first.
        """
        drop = self.dropped(name)
        kept = np.flatnonzero(non_dominated(np.stack([-self.accuracy_drop, drop], axis=1)))
        return kept[np.argsort(drop[kept])]

    def to_json(self, threshold: float) -> dict[str, Any]:
        """Number of masks, number of masks within the threshold, and the front, as plain values."""
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
