"""Algorithm 1 of seed 003: reward what is dropped while accuracy stays within a threshold.

The paper rewards dropped parameters. Dropped MACs, or a dropped latency that was measured layer by layer
(:mod:`models.latency`), can take their place; all else stays.

The paper says its score alone keeps BEST within the threshold. It does not: with threshold 2, a mask that
drops 40% of the parameters at an accuracy drop of 2.1% scores 40 / 12.1 - 1.05 = 2.26, more than one
within the threshold that drops 1%. So the score orders the population, and ``feasible`` says who may be
BEST.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.contracts import FAILED, Appraisal
from engine.errors import OptionError
from fitness.rewards import OBJECTIVES, check_objective
from models.cost import Cost


class CostModel(Protocol):
    """Cost of masks in closed form; no mask costs more than the one that keeps everything."""

    def __call__(self, masks: np.ndarray) -> Cost:
        """``bool[n, f]`` -> parameters and MACs, ``int64[n]`` each."""
        ...


class LatencyModel(Protocol):
    """Latency of masks in closed form; no mask takes longer than the one that keeps everything."""

    def __call__(self, masks: np.ndarray) -> np.ndarray:
        """``bool[n, f]`` -> milliseconds, ``float64[n]``, above 0."""
        ...


@dataclass(frozen=True)
class CostObjective:
    """Score of Algorithm 1. All drops are percent of the original network.

    Attributes:
        cost: parameters and MACs of masks.
        threshold: accuracy drop that is still acceptable (exclusive), in percent.
        weight: the paper's lambda, weight of the accuracy drop beyond the threshold.
        offset: the paper's epsilon, keeps the ratio's denominator positive.
        rewarded: what is to be dropped, a key of :data:`fitness.rewards.OBJECTIVES`.
        latency: of masks; ``latency`` cannot be rewarded without it.

    Raises:
        OptionError: a value out of its range.
        ValueError: latency is rewarded and not given.
    """

    cost: CostModel
    threshold: float = 2.0
    weight: float = 0.5
    offset: float = 10.0
    rewarded: str = "parameters"
    latency: LatencyModel | None = None

    def __post_init__(self) -> None:
        check_objective(self.rewarded)
        if self.rewarded == "latency" and self.latency is None:
            raise ValueError("an objective that rewards latency needs a model of it")
        if not 0 <= self.threshold <= 100:
            raise OptionError(
                f"--threshold is an accuracy drop from 0 to 100 percent, not {self.threshold}; the paper uses 2."
            )
        if not 0 <= self.weight <= 1:
            raise OptionError(f"--lambda must be from 0 to 1, not {self.weight}.")
        if not 0 < self.offset < float("inf"):
            raise OptionError(f"--epsilon must be above 0, not {self.offset}.")

    @property
    def monotone(self) -> bool:
        """See :class:`engine.contracts.Objective`.

        Beyond the threshold the score falls with the accuracy drop, whose ratio is then over
        ``threshold + offset`` or more. Only where that is below 1 can a mask gain by leaving the threshold.
        """
        return self.threshold + self.offset >= 1

    def appraise(self, masks: np.ndarray, correct: np.ndarray, original_correct: int) -> Appraisal:
        """See :class:`engine.contracts.Objective`.

        A mask that removes nothing is feasible whatever the threshold: it is where the search begins.
        """
        costs = self._costs(masks)
        drop = costs[OBJECTIVES[self.rewarded].figure]
        failed = correct == FAILED
        accuracy_drop = np.where(failed, np.nan, percent_drop(original_correct, correct))

        within = accuracy_drop < self.threshold
        # Rows within the threshold may make the denominator anything; they take the other branch.
        beyond = np.where(within | failed, 0.0, accuracy_drop)
        penalised = drop / (beyond + self.offset) - self.weight * beyond
        score = np.where(failed, -np.inf, np.where(within, drop, penalised))
        return Appraisal(score, ~failed & (within | masks.all(axis=1)), {"accuracy_drop": accuracy_drop, **costs})

    def _costs(self, masks: np.ndarray) -> dict[str, np.ndarray]:
        """What masks leave, and its drop, ``[n]`` each."""
        cost, whole = self.cost(masks), np.ones((1, masks.shape[1]), bool)
        original = self.cost(whole)
        figures = {
            "parameter_drop": percent_drop(original.parameters[0], cost.parameters),
            "mac_drop": percent_drop(original.macs[0], cost.macs),
            "parameters": cost.parameters,
            "macs": cost.macs,
        }
        if self.latency is not None:
            taken = self.latency(masks)
            figures |= {"latency_drop": percent_drop(self.latency(whole)[0], taken), "latency_ms": taken}
        return figures


def percent_drop(original: int | np.ndarray, pruned: np.ndarray) -> np.ndarray:
    """``100 * (original - pruned) / original`` as ``float64``."""
    return 100.0 * (original - np.asarray(pruned, np.float64)) / original
