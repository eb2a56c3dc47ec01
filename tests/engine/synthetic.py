"""A search problem without a network: bits have weights, and the accuracy falls with the weight removed."""

import numpy as np

from engine.config import SearchSettings
from engine.contracts import FAILED, Appraisal
from engine.layout import Layout
from engine.search import Search

LAYOUT = Layout(("one", "two", "three"), (5, 1, 14))


class WeightedBits:
    """Evaluator: loses images with each removed bit; fails on masks that remove a poisoned pair."""

    total = 1000

    def __init__(self, poison: bool = False):
        self.poison = poison
        self.seen: list[bytes] = []
        self._weights = np.random.default_rng(0).integers(0, 30, LAYOUT.n_filters)

    def evaluate(self, masks):
        assert LAYOUT.kept(masks).min() > 0, "no layer is ever emptied"
        self.seen += [mask.tobytes() for mask in masks]
        correct = 900 - (~masks) @ self._weights
        failed = self.poison & ~masks[:, 0]
        return np.where(failed, FAILED, correct)


class RemovedBits:
    """Objective: share of bits removed, feasible below 5% accuracy drop."""

    def appraise(self, masks, correct, original_correct):
        removed = 100.0 * (~masks).mean(axis=1)
        drop = 100.0 * (original_correct - correct) / original_correct
        failed = correct == FAILED
        feasible = ~failed & ((drop < 5) | masks.all(axis=1))
        score = np.where(failed, -np.inf, np.where(feasible, removed, removed / 10 - drop))
        return Appraisal(score, feasible, {"accuracy_drop": drop, "removed": removed})


def make_search(evaluator=None, **settings):
    chosen = SearchSettings(
        **{"population": 12, "parents": 6, "population_cap": 20, "mutation": 0.05, **settings}
    )
    return Search(chosen, LAYOUT, evaluator or WeightedBits(), RemovedBits())
