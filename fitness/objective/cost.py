"""Algorithm 1 of the thesis: reward the drop in cost while the accuracy drop stays within a threshold.

The thesis rewards dropped parameters. The reward can also be dropped MACs, or a dropped latency that follows from
measured layers (:mod:`models.latency`).

The thesis says that the score alone keeps BEST within the threshold. The score alone does not: with threshold
2, a mask that drops 40% of the parameters at an accuracy drop of 2.1% scores 40 / 12.1 - 1.05 = 2.26, more than
a mask within the threshold that drops 1%. So the score orders the population, and ``feasible`` says which masks
may be BEST.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.contracts import FAILED, Appraisal
from engine.errors import OptionError
from engine.layout import Layout
from fitness.objective.rewards import OBJECTIVES, check_objective
from models.cost import Cost
from models.latency.table import LatencyTable


class CostModel(Protocol):
    """Computes the cost of masks in closed form. No mask costs more than the mask that keeps everything."""

    def __call__(self, masks: np.ndarray) -> Cost:
        """``bool[n, f]`` -> parameters and MACs, ``int64[n]`` each."""
        ...


class LatencyModel(Protocol):
    """Computes the latency of masks in closed form. No mask is slower than the mask that keeps everything."""

    def __call__(self, masks: np.ndarray) -> np.ndarray:
        """``bool[n, f]`` -> milliseconds, ``float64[n]``, above 0."""
        ...


@dataclass(frozen=True)
class MaskLatency:
    """Latency of masks from a network's table of measured layers."""

    table: LatencyTable
    layout: Layout

    def __call__(self, masks: np.ndarray) -> np.ndarray:
        """See :class:`LatencyModel`."""
        kept = self.layout.kept(masks)
        return self.table(dict(zip(self.layout.names, kept.T, strict=True)), len(masks))


@dataclass(frozen=True)
class CostObjective:
    """Score of Algorithm 1. All drops are percent of the original network.

    Attributes:
        cost: parameters and MACs of masks.
        threshold: accuracy drop in percent; only masks that lose less are acceptable.
        weight: lambda of the thesis, the weight of an accuracy drop beyond the threshold.
        offset: epsilon of the thesis, which keeps the denominator of the ratio positive.
        rewarded: the cost to drop, a key of :data:`fitness.objective.rewards.OBJECTIVES`.
        latency: model of the latency of masks; needed to reward ``latency``.
        reach: accuracy drop in percent up to which masks score their drop alone; None for the threshold. Beyond
            the threshold they cannot become BEST, but the search goes there for masks that a refit brings back.

    Raises:
        OptionError: a value out of its range.
        ValueError: the reach is below the threshold; or latency is rewarded, and there is no model of it.
    """

    cost: CostModel
    threshold: float = 2.0
    weight: float = 0.5
    offset: float = 10.0
    rewarded: str = "parameters"
    latency: LatencyModel | None = None
    reach: float | None = None

    def __post_init__(self) -> None:
        check_objective(self.rewarded)
        if self.rewarded == "latency" and self.latency is None:
            raise ValueError("an objective that rewards latency needs a model of it")
        check_algorithm(self.threshold, self.weight, self.offset)
        if self.reach is not None and self.reach < self.threshold:
            raise ValueError(f"the reach {self.reach} is below the threshold {self.threshold}")

    @property
    def monotone(self) -> bool:
        """See :class:`engine.contracts.Objective`.

        Beyond the reach the score falls as the accuracy drop grows, and the denominator of its ratio is
        ``threshold + offset`` or more. Only if that sum is below 1 can a mask gain by leaving the reach.
        """
        return self.threshold + self.offset >= 1

    def appraise(self, masks: np.ndarray, correct: np.ndarray, original_correct: int) -> Appraisal:
        """See :class:`engine.contracts.Objective`.

        The mask that removes nothing is always feasible, because the search begins there.
        """
        costs = self._costs(masks)
        drop = costs[OBJECTIVES[self.rewarded].figure]
        failed = correct == FAILED
        accuracy_drop = np.where(failed, np.nan, percent_drop(original_correct, correct))

        within = accuracy_drop < self.threshold
        rewarded = within if self.reach is None else accuracy_drop < self.reach
        # Within the reach the score is the drop alone, and the denominator could be zero.
        beyond = np.where(rewarded | failed, 0.0, accuracy_drop)
        penalised = drop / (beyond + self.offset) - self.weight * beyond
        score = np.where(failed, -np.inf, np.where(rewarded, drop, penalised))
        return Appraisal(score, ~failed & (within | masks.all(axis=1)), {"accuracy_drop": accuracy_drop, **costs})

    def _costs(self, masks: np.ndarray) -> dict[str, np.ndarray]:
        """Each cost of the masks, and its drop in percent, ``[n]`` each."""
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


def check_algorithm(threshold: float, weight: float, offset: float) -> None:
    """Refuse parameters of Algorithm 1 that are out of their ranges.

    Raises:
        OptionError: names the parameter.
    """
    check_threshold(threshold)
    if not 0 <= weight <= 1:
        raise OptionError(f"`weight` must be from 0 to 1, not {weight}.")
    if not 0 < offset < float("inf"):
        raise OptionError(f"`offset` must be above 0, not {offset}.")


def check_threshold(threshold: float) -> None:
    """Refuse a threshold out of its range.

    Raises:
        OptionError: it is.
    """
    if not 0 <= threshold <= 100:
        raise OptionError(
            f"`threshold` is an accuracy drop from 0 to 100 percent, not {threshold}; the thesis uses 2."
        )


def percent_drop(original: int | np.ndarray, pruned: np.ndarray) -> np.ndarray:
    """``100 * (original - pruned) / original`` as ``float64``."""
    return 100.0 * (original - np.asarray(pruned, np.float64)) / original
