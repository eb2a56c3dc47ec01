"""Searches under a budget of masks, as baselines for the genetic algorithm: random search and hill climbing."""

import numpy as np

from engine.contracts import STOPPED, Evaluator, Objective, Target
from engine.errors import OptionError
from engine.layout import Layout
from engine.search.best import Best, best_of, better, outranks
from engine.search.evaluation import checked_counts, checked_original
from engine.search.individual import individuals
from engine.search.operators.population import revive_empty_layers
from engine.search.stopping import fewest


class Incumbent:
    """BEST so far, and the budget that is left; evaluations never exceed the budget.

    Attributes:
        best: the best feasible mask tried, at first the unpruned network.
        history: every BEST so far, in order.
        spent: masks tried. As in the genetic algorithm, the unpruned network counts. A mask that was stopped
            early counts in full, and a mask that is tried again counts again.

    Raises:
        OptionError: the budget is below 1.
        EvaluationError: the unpruned network fails or gets no image right.
    """

    def __init__(self, layout: Layout, evaluator: Evaluator, objective: Objective, budget: int):
        if budget < 1:
            raise OptionError(f"`budget` must be 1 or more masks, not {budget}.")
        self.layout = layout
        self.budget = budget
        self._evaluator = evaluator
        self._objective = objective
        original = layout.full()[None]
        correct = checked_counts(evaluator, original)
        self.original_correct = checked_original(correct[0])
        appraisal = objective.appraise(original, correct, self.original_correct)
        self.original = best_of(individuals(original, correct, appraisal.score), appraisal, 0)
        self.best = self.original
        self.spent = 1
        self.history = [self.best]

    @property
    def left(self) -> int:
        """Masks that may still be tried."""
        return self.budget - self.spent

    def improve(self, rival: Best, masks: np.ndarray) -> Best:
        """Try the first ``left`` masks of ``bool[n, f]``; return the best of ``rival`` and the feasible ones.

        The evaluation of a mask may stop once the mask cannot beat ``rival``.
        """
        masks = masks[: self.left]
        correct = checked_counts(self._evaluator, masks, self._target(rival, masks))
        self.spent += len(masks)
        finished = correct != STOPPED
        masks, correct = masks[finished], correct[finished]
        appraisal = self._objective.appraise(masks, correct, self.original_correct)
        winner = better(rival, individuals(masks, correct, appraisal.score), appraisal)
        if _level(winner) > _level(self.best):
            self.best = winner
            self.history.append(winner)
        return winner

    def _target(self, rival: Best, masks: np.ndarray) -> Target | None:
        if not self._objective.monotone:
            return None

        def wins(counts: np.ndarray) -> np.ndarray:
            appraisal = self._objective.appraise(masks, counts, self.original_correct)
            return outranks(rival.individual, appraisal, counts)

        return Target(fewest(wins, len(masks), self._evaluator.total), np.zeros(len(masks)))


def _level(best: Best) -> tuple[float, int]:
    return best.individual.score, best.individual.correct


BATCH = 64
"""Masks evaluated at once; the masks drawn do not depend on this number."""


def random_search(incumbent: Incumbent, rng: np.random.Generator) -> None:
    """Spend the budget on independent random masks.

    Each mask draws a removal ratio u * u, u uniform in [0, 1), and loses each filter with that probability. So
    half of the masks lose less than a quarter of their filters, because few filters can go without retraining.
    Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012.
    """
    layout = incumbent.layout
    while incumbent.left > 0:
        drawn = []
        for _ in range(min(BATCH, incumbent.left)):
            mask = rng.random((1, layout.n_filters)) >= rng.random() ** 2
            drawn.append(revive_empty_layers(rng, layout, mask))
        incumbent.improve(incumbent.best, np.concatenate(drawn))


NEIGHBOURS = 16
"""Masks tried in one step of a climb."""
PATIENCE = 8
"""Steps without improvement after which a climb ends."""


def hill_climbing(incumbent: Incumbent, rng: np.random.Generator) -> None:
    """Spend the budget on climbs from the unpruned network: sampled steepest ascent with restarts.

    Each step tries :data:`NEIGHBOURS` masks and moves to the best of them, if it is feasible and better. After
    :data:`PATIENCE` steps without improvement the next climb begins. Russell and Norvig, "Artificial
    intelligence: a modern approach", chapter on local search.
    """
    layout = incumbent.layout
    here, failures = incumbent.original, 0
    while incumbent.left > 0:
        tried = neighbours(rng, layout, here.individual.mask, NEIGHBOURS)
        there = incumbent.improve(here, tried)
        failures = failures + 1 if there is here else 0
        here = there
        if failures == PATIENCE:
            here, failures = incumbent.original, 0


def neighbours(rng: np.random.Generator, layout: Layout, mask: np.ndarray, count: int) -> np.ndarray:
    """``bool[count, f]``: copies of ``bool[f]``, each with some bits of one layer flipped, no layer empty.

    A layer is drawn in proportion to its filters. The number of flipped bits is 1, 2, 4, ..., up to an eighth of
    the layer.
    """
    masks = np.repeat(mask[None], count, axis=0)
    shares = np.asarray(layout.sizes) / layout.n_filters
    for row, layer in zip(masks, rng.choice(len(shares), count, p=shares), strict=True):
        size = layout.sizes[layer]
        block = 2 ** rng.integers(max(1, size // 8).bit_length())
        flipped = layout.offsets[layer] + rng.choice(size, block, replace=False)
        row[flipped] ^= True
    return revive_empty_layers(rng, layout, masks)
