"""A search problem without a network: each bit has a weight, and accuracy falls with the removed weights."""

import numpy as np

from engine.contracts import FAILED, STOPPED, Aims, Appraisal
from engine.layout import Layout
from engine.search import stopping
from engine.search.loop import Search
from engine.search.operators.population import revive_empty_layers
from engine.search.settings import SearchSettings

LAYOUT = Layout(("one", "two", "three"), (5, 1, 14))


class WeightedBits:
    """Evaluator: each removed bit costs images. With ``poison``, masks that remove bit 0 fail.

    Given a target it stops every mask that it may.
    """

    total = 1000

    def __init__(self, poison: bool = False):
        self.poison = poison
        self.seen: list[bytes] = []
        self._weights = np.random.default_rng(0).integers(0, 30, LAYOUT.n_filters)

    def count(self, masks):
        correct = 900 - (~masks) @ self._weights
        failed = self.poison & ~masks[:, 0]
        return np.where(failed, FAILED, correct)

    def evaluate(self, masks, target=None):
        assert LAYOUT.kept(masks).min() > 0, "no layer is ever emptied"
        self.seen += [mask.tobytes() for mask in masks]
        counts = self.count(masks)
        if target is None:
            return counts
        return np.where((target.needed > 0) & (counts < target.needed), STOPPED, counts)


class WeightedBitsByImage(WeightedBits):
    """The same counts, from images in a random order, in rounds of 50."""

    def __init__(self, order_seed: int):
        super().__init__()
        self._order = np.random.default_rng(order_seed).permutation(self.total)
        self.images_seen = 0
        self.wrongly_stopped = 0

    def evaluate(self, masks, target=None):
        counts = self.count(masks)
        if target is None:
            return counts
        # Image i is right under a mask that gets more than i images right.
        right = self._order < counts[:, None]
        answer, going = counts.copy(), np.arange(len(masks))
        for seen in range(0, self.total, 50):
            so_far = right[going, :seen].sum(axis=1)
            stop = stopping.hopeless(so_far, seen, self.total, target.rows(going), self.total // 50)
            answer[going[stop]] = STOPPED
            going = going[~stop]
            self.images_seen += 50 * len(going)
        self.wrongly_stopped += int(((answer == STOPPED) & (counts >= target.needed)).sum())
        return answer


def random_masks(seed, rows=30):
    """``bool[rows, 20]``, of all densities, no layer empty."""
    rng = np.random.default_rng(seed)
    return revive_empty_layers(rng, LAYOUT, rng.random((rows, LAYOUT.n_filters)) < rng.random((rows, 1)))


class RemovedBits:
    """Objective: share of bits removed, feasible below 5% accuracy drop."""

    monotone = True

    def appraise(self, masks, correct, original_correct):
        assert STOPPED not in correct
        removed = 100.0 * (~masks).mean(axis=1)
        drop = 100.0 * (original_correct - correct) / original_correct
        failed = correct == FAILED
        feasible = ~failed & ((drop < 5) | masks.all(axis=1))
        score = np.where(failed, -np.inf, np.where(feasible, removed, removed / 10 - drop))
        return Appraisal(score, feasible, {"accuracy_drop": drop, "removed": removed})


class RemovedParts(RemovedBits):
    """Objective with aims: accuracy, and the removed shares of the first 5 bits and of the others."""

    def __init__(self, limit=20):
        self.limit = limit

    def appraise(self, masks, correct, original_correct):
        found = super().appraise(masks, correct, original_correct)
        drop = np.where(correct == FAILED, np.inf, found.figures["accuracy_drop"])
        parts = [(~masks[:, :5]).mean(axis=1), (~masks[:, 5:]).mean(axis=1)]
        aims = Aims(np.stack([1 - drop / self.limit, *parts], axis=1), np.maximum(0, drop - self.limit))
        return Appraisal(found.score, found.feasible, found.figures, aims)


def advance(search, state, generations, on_generation=lambda state: None):
    """The state at generation ``generations``; reports each new state."""
    while state.generation < generations:
        state = search.step(state)
        on_generation(state)
    return state


def make_search(evaluator=None, objective=None, *, founders=None, front=False, **settings):
    chosen = SearchSettings(
        **{"population": 12, "parents": 6, "population_cap": 20, "mutation": 0.05, **settings}
    )
    judges = evaluator or WeightedBits(), objective or RemovedBits()
    return Search(chosen, LAYOUT, *judges, founders, front=front)
