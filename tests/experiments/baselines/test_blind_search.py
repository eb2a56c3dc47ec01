"""Random search and hill climbing: budgets, answers, and early stopping that changes nothing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EvaluationError, OptionError
from experiments.baselines.blind_search import Incumbent, hill_climbing, neighbours, random_search
from tests.engine.support.synthetic import LAYOUT, RemovedBits, WeightedBits

SEARCHES = pytest.mark.parametrize("method", [random_search, hill_climbing])


class Unstopped(WeightedBits):
    """Evaluates every mask in full, whatever the target."""

    def evaluate(self, masks, target=None):
        return super().evaluate(masks)


def searched(method, budget, seed=0, evaluator=None):
    incumbent = Incumbent(LAYOUT, evaluator or WeightedBits(), RemovedBits(), budget)
    method(incumbent, np.random.default_rng(seed))
    return incumbent


def plain(best):
    return best.individual.mask.tobytes(), best.individual.correct, best.individual.score, best.figures


@SEARCHES
@given(budget=st.integers(1, 300), seed=st.integers(0, 2**32 - 1), poison=st.booleans())
def test_the_budget_is_spent_and_never_exceeded(method, budget, seed, poison):
    evaluator = WeightedBits(poison)
    incumbent = searched(method, budget, seed, evaluator)
    assert incumbent.spent == len(evaluator.seen) == budget
    assert incumbent.left == 0
    for before, after in itertools.pairwise(incumbent.history):
        assert (after.individual.score, after.individual.correct) > (
            before.individual.score,
            before.individual.correct,
        )
    for best in incumbent.history:
        individual = best.individual
        assert individual.mask.tobytes() in evaluator.seen
        assert individual.correct == evaluator.count(individual.mask[None])[0]
        assert best.figures["accuracy_drop"] < 5
    assert incumbent.best is incumbent.history[-1]


@SEARCHES
def test_a_best_keeps_nothing_of_its_batch_in_memory(method):
    history = searched(method, 150).history
    assert len(history) > 1
    assert all(best.individual.mask.base is None for best in history)


@SEARCHES
@given(seed=st.integers(0, 2**32 - 1))
def test_early_stopping_leaves_the_search_as_it_was(method, seed):
    stopping, whole = (searched(method, 150, seed, evaluator()) for evaluator in (WeightedBits, Unstopped))
    assert [plain(best) for best in stopping.history] == [plain(best) for best in whole.history]
    assert plain(searched(method, 150, seed).best) == plain(stopping.best)


def test_random_search_keeps_the_best_mask_it_drew():
    evaluator = WeightedBits()
    incumbent = searched(random_search, 200, 3, evaluator)
    masks = np.array([np.frombuffer(seen, bool) for seen in evaluator.seen])
    correct = evaluator.count(masks)
    appraisal = RemovedBits().appraise(masks, correct, 900)
    assert incumbent.best.individual.score == appraisal.score[appraisal.feasible].max() > 0
    assert len({mask.tobytes() for mask in masks}) > 100


def test_hill_climbing_tries_neighbours_and_climbs_higher_than_chance():
    assert searched(hill_climbing, 300).best.individual.score > searched(random_search, 300).best.individual.score


def test_a_climb_without_success_begins_anew():
    class Cliff(WeightedBits):
        """Bits 6 and 19 may go one at a time: each ends a climb."""

        def evaluate(self, masks, target=None):
            self.seen += [mask.tobytes() for mask in masks]
            gone = ~masks
            free = (gone.sum(axis=1) == 1) & (gone[:, 6] | gone[:, 19])
            return np.where(free | masks.all(axis=1), 900, 0)

    evaluator = Cliff()
    searched(hill_climbing, 2000, 1, evaluator)
    masks = np.array([np.frombuffer(seen, bool) for seen in evaluator.seen])
    steps = [step for step in np.split(masks[1:], range(16, 1999, 16))]
    # Around a mask that lacks bit 6, most neighbours lack it as well.
    at_six = [(~step[:, 6]).mean() > 0.5 for step in steps]
    assert sum(before and not after for before, after in itertools.pairwise(at_six)) > 1


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_neighbours_differ_in_one_layer_and_empty_none(seed, kept):
    rng = np.random.default_rng(seed)
    mask = rng.random(LAYOUT.n_filters) < kept
    mask[LAYOUT.offsets] = True
    for neighbour in neighbours(rng, LAYOUT, mask, 20):
        assert LAYOUT.kept(neighbour).min() > 0
        differing = [(part != before).sum() for part, before in zip(*map(pieces, (neighbour, mask)), strict=True)]
        assert sum(count > 0 for count in differing) <= 1
        assert max(differing) <= 2


def pieces(mask):
    return LAYOUT.split(mask).values()


@pytest.mark.parametrize("budget", [0, -3])
def test_an_impossible_budget_is_named(budget):
    with pytest.raises(OptionError, match="`budget` must be 1 or more"):
        Incumbent(LAYOUT, WeightedBits(), RemovedBits(), budget)


def test_a_network_that_gets_nothing_right_is_named():
    class Wrong(WeightedBits):
        def evaluate(self, masks, target=None):
            return np.zeros(len(masks), np.int64)

    with pytest.raises(EvaluationError, match="none of the images right"):
        Incumbent(LAYOUT, Wrong(), RemovedBits(), 10)
