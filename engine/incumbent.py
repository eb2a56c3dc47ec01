"""BEST under a budget of masks: what the searches share that the genetic algorithm is compared with."""

import numpy as np

from engine.best import Best, best_of, better
from engine.contracts import STOPPED, Evaluator, Objective, Target
from engine.errors import OptionError
from engine.evaluation import checked_counts, checked_original
from engine.individual import individuals
from engine.layout import Layout
from engine.truncation import fewest


class Incumbent:
    """BEST so far, from the unpruned network on; what is asked of the evaluator never exceeds the budget.

    Attributes:
        best: the best feasible mask tried.
        history: each BEST that there was, from the unpruned network on.
        spent: masks tried, the unpruned network included, as in the genetic algorithm; those whose evaluation
            was stopped early count in full, and so do those that are tried again.

    Raises:
        OptionError: a budget below 1.
        EvaluationError: the unpruned network fails, or gets no image right.
    """

    def __init__(self, layout: Layout, evaluator: Evaluator, objective: Objective, budget: int):
        if budget < 1:
            raise OptionError(f"--budget must be 1 or more masks, not {budget}.")
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
        """The best of ``rival`` and the feasible among ``bool[n, f]``, of which the first ``left`` are tried.

        A mask is evaluated as far as it takes to know that it is no better than ``rival``.
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
        score, correct = _level(rival)

        def wins(counts: np.ndarray) -> np.ndarray:
            appraisal = self._objective.appraise(masks, counts, self.original_correct)
            level = (appraisal.score == score) & (counts > correct)
            return appraisal.feasible & ((appraisal.score > score) | level)

        return Target(fewest(wins, len(masks), self._evaluator.total), np.zeros(len(masks)))


def _level(best: Best) -> tuple[float, int]:
    return best.individual.score, best.individual.correct
