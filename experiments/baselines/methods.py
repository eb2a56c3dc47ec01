"""The methods that a search is compared with; each method is a sequence of masks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.contracts import FAILED, Appraisal, Evaluator
from engine.layout import mask_sha256
from engine.search.evaluation import checked_counts, checked_original
from experiments.baselines.blind_search import Incumbent, hill_climbing, random_search
from fitness.evaluation.evaluator import ShardedEvaluator
from fitness.genome import Genome
from fitness.importance import IMPORTANCES
from fitness.objective.cost import CostObjective
from fitness.seeding.ladder import climb
from fitness.seeding.ranking import masks_at

SEARCHES: Mapping[str, Callable[[Incumbent, np.random.Generator], None]] = {
    "random-search": random_search,
    "hill-climbing": hill_climbing,
}
"""Methods that evaluate masks until a budget is spent."""

METHODS = (*IMPORTANCES, *SEARCHES)

USUAL = ("taylor", "taylor-squared", "magnitude", "cosine", "karnin", "random", *SEARCHES)
"""Methods compared by default; the others by name: each ranking costs about 40 masks."""


@dataclass(frozen=True)
class Trail:
    """Masks ``bool[n, f]`` of one method, in its order, with counts ``int64[n]`` on ``total`` images.

    ``best``: the row of the largest drop within the threshold; ``evaluations``: masks tried in all.
    """

    masks: np.ndarray
    correct: np.ndarray
    appraisal: Appraisal
    best: int
    evaluations: int
    total: int

    def raw(self) -> dict[str, Any]:
        """The values that need an evaluation, as JSON."""
        masks = [mask.tobytes().hex() for mask in np.packbits(self.masks, axis=1)]
        return {
            "masks": masks,
            "correct": self.correct.tolist(),
            "best": self.best,
            "evaluations": self.evaluations,
        }

    @classmethod
    def restored(cls, raw: Mapping[str, Any], total: int, genome: Genome, objective: CostObjective) -> "Trail":
        """Inverse of :meth:`raw`, for a trail that begins with the unpruned network."""
        packed = np.stack([np.frombuffer(bytes.fromhex(mask), np.uint8) for mask in raw["masks"]])
        masks = genome.layout.unpack(packed)
        correct = np.array(raw["correct"], np.int64)
        appraisal = objective.appraise(masks, correct, int(correct[0]))
        return cls(masks, correct, appraisal, raw["best"], raw["evaluations"], total)

    def to_json(self) -> dict[str, Any]:
        """Figures of the best mask, and of all masks as ``curve``."""
        curve = [self._point(row) for row in range(len(self.masks))]
        best = curve[self.best]
        return {
            "parameter_drop_within_threshold": best["parameter_drop"],
            "mac_drop_within_threshold": best["mac_drop"],
            **({"latency_drop_within_threshold": best["latency_drop"]} if "latency_drop" in best else {}),
            "accuracy_drop_within_threshold": best["accuracy_drop"],
            "removed_filters": best["removed_filters"],
            "sha256": mask_sha256(self.masks[self.best]),
            "evaluations": self.evaluations,
            "curve": curve,
        }

    def _point(self, row: int) -> dict[str, Any]:
        """One mask; a failed one has neither count nor accuracy."""
        correct = None if self.correct[row] == FAILED else int(self.correct[row])
        figures = {name: values[row].item() for name, values in self.appraisal.figures.items()}
        return {
            **figures,
            "accuracy_drop": None if correct is None else figures["accuracy_drop"],
            "removed_filters": int((~self.masks[row]).sum()),
            "correct": correct,
            "accuracy": None if correct is None else correct / self.total,
        }


def along(order: np.ndarray, genome: Genome, evaluator: ShardedEvaluator, objective: CostObjective) -> Trail:
    """The masks of a ladder along an order of removal (:mod:`fitness.seeding.ladder`)."""
    ladder = climb(order, genome.layout, evaluator, objective)
    tried = len(ladder.masks)
    return Trail(ladder.masks, ladder.correct, ladder.appraisal, ladder.best, tried, evaluator.total)


def at(
    shares: Sequence[float],
    importance: np.ndarray,
    genome: Genome,
    evaluator: Evaluator,
    objective: CostObjective,
) -> Trail:
    """The masks without ascending shares of every layer (:func:`fitness.seeding.ranking.masks_at`)."""
    masks = np.vstack([genome.layout.full(), masks_at(shares, importance, genome.layout)])
    correct = checked_counts(evaluator, masks)
    appraisal = objective.appraise(masks, correct, checked_original(correct[0]))
    best = int(np.flatnonzero(appraisal.feasible)[-1])
    return Trail(masks, correct, appraisal, best, len(masks), evaluator.total)


def searched(
    name: str,
    genome: Genome,
    evaluator: ShardedEvaluator,
    objective: CostObjective,
    budget: int,
    seed: int,
) -> Trail:
    """The successive BESTs of a search that evaluates ``budget`` masks."""
    incumbent = Incumbent(genome.layout, evaluator, objective, budget)
    SEARCHES[name](incumbent, np.random.default_rng(seed))
    found = [best.individual for best in incumbent.history]
    masks, correct = np.stack([one.mask for one in found]), np.array([one.correct for one in found])
    appraisal = objective.appraise(masks, correct, incumbent.original_correct)
    return Trail(masks, correct, appraisal, len(masks) - 1, incumbent.spent, evaluator.total)


def single(mask: np.ndarray, genome: Genome, evaluator: ShardedEvaluator, objective: CostObjective) -> Trail:
    """One mask, ``bool[f]``, after the unpruned network; within the threshold or not."""
    masks = np.stack([genome.layout.full(), mask])
    correct = evaluator.evaluate(masks)
    appraisal = objective.appraise(masks, correct, int(correct[0]))
    return Trail(masks, correct, appraisal, 1, 1, evaluator.total)
