import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import FAILED, STOPPED
from engine.errors import EvaluationError
from engine.run.codec import decode, encode
from engine.search.evaluation import checked_original
from tests.engine.support.kill_points import Asking
from tests.engine.support.synthetic import (
    LAYOUT,
    RemovedBits,
    RemovedParts,
    WeightedBits,
    advance,
    make_search,
    random_masks,
)


def states_of(search, generations):
    states = [search.start()]
    blobs = [encode(states[0], LAYOUT, "id")]

    def record(state):
        states.append(state)
        blobs.append(encode(state, LAYOUT, "id"))

    advance(search, states[0], generations, record)
    return states, blobs


@given(st.integers(0, 2**32 - 1), st.sampled_from(["adjacent", "all"]), st.booleans())
def test_invariants_of_every_generation(seed, pairing, poison):
    evaluator = WeightedBits(poison)
    states, _ = states_of(make_search(evaluator, seed=seed, pairing=pairing), 6)
    for before, after in itertools.pairwise(states):
        assert after.best.individual.score >= before.best.individual.score
    for state in states:
        best = state.best
        assert best.figures["accuracy_drop"] < 5
        assert best.individual.correct != FAILED
        assert LAYOUT.kept(best.individual.mask).min() > 0
        assert len(state.population) <= 20
        scores = [individual.score for individual in state.population]
        assert scores == sorted(scores, reverse=True)
    assert len(evaluator.seen) == len(set(evaluator.seen)) == states[-1].evaluations


def test_equal_seeds_give_equal_bytes_and_other_seeds_other_bytes():
    _, first = states_of(make_search(seed=1), 5)
    _, second = states_of(make_search(seed=1), 5)
    _, third = states_of(make_search(seed=2), 5)
    assert first == second
    assert first[-1] != third[-1]


@given(st.integers(0, 5))
def test_a_search_continued_from_bytes_is_the_search_that_never_stopped(stop):
    _, blobs = states_of(make_search(seed=4), 6)
    state, layout, identity = decode(blobs[stop])
    assert (layout, identity) == (LAYOUT, "id")
    assert encode(state, LAYOUT, "id") == blobs[stop]
    final = advance(make_search(seed=4), state, 6)
    assert encode(final, LAYOUT, "id") == blobs[-1]


@pytest.mark.parametrize(
    "search",
    [
        make_search(seed=1, mutation=0.1, islands=2, migrate_every=1),
        make_search(seed=1, mutation=0.1, founders=Asking()),
        make_search(seed=1, mutation=0.1, objective=RemovedParts(), front=True),
    ],
)
def test_a_survivor_keeps_nothing_of_its_brood_in_memory(search):
    states, blobs = states_of(search, 5)
    for state in [*states, search.step(decode(blobs[2])[0])]:
        for individual in [state.best.individual, *state.population]:
            for array in (individual.mask, individual.origins, individual.values):
                assert array is None or array.base is None or array.base.nbytes == array.nbytes
            assert not individual.mask.flags.writeable


class Beyond(Asking):
    """Founders that have masks of all densities evaluated, and return masks without any of the second half."""

    def __call__(self, rng, evaluator):
        masks, numbers = super().__call__(rng, evaluator)
        evaluator.evaluate(random_masks(1, 200))
        far = masks.copy()
        far[:, LAYOUT.n_filters // 2 : -1] = False
        return far, numbers


def test_best_may_be_a_mask_that_the_founders_had_evaluated_and_left_out():
    state = make_search(founders=Beyond()).start()
    masks, counts = state.archive.masks(np.arange(len(state.archive))), state.archive.counts()
    appraisal = RemovedBits().appraise(masks, counts, state.original_correct)
    best = state.best.individual
    assert best.score == appraisal.score[appraisal.feasible].max()
    assert not any(np.array_equal(best.mask, each.mask) for each in state.population)
    assert best.score > 0


def test_the_original_is_where_best_begins_even_if_nothing_else_is_feasible():
    class Brittle(WeightedBits):
        def evaluate(self, masks, target=None):
            return np.where(masks.all(axis=1), 900, 10)

    states, _ = states_of(make_search(Brittle()), 3)
    assert states[-1].best.individual.mask.all()
    assert states[-1].best.individual.score == 0


def test_failed_masks_rank_last_and_are_counted():
    states, _ = states_of(make_search(WeightedBits(poison=True), seed=0, initial_removal=0.5), 2)
    first = states[0]
    failed = [individual.correct == FAILED for individual in first.population]
    assert any(failed)
    assert failed == sorted(failed)
    assert first.failures > 0


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda n: np.zeros(n, np.int64), "none of the images right"),
        (lambda n: np.full(n, FAILED), "NaN or infinity"),
        (lambda n: np.full(n, 1001), "must lie in 0 to 1000"),
        (lambda n: np.full(n, -3), "must lie in 0 to 1000"),
        (lambda n: np.full(n, 3.5), "must answer int64"),
        (lambda n: np.full(n + 1, 3), "must answer int64"),
    ],
)
def test_an_evaluator_that_breaks_its_contract_is_named(answer, sentence):
    class Broken(WeightedBits):
        def evaluate(self, masks, target=None):
            return answer(len(masks))

    with pytest.raises(EvaluationError, match=sentence):
        make_search(Broken()).start()


@pytest.mark.parametrize("answer", [STOPPED, np.int64(STOPPED), -3, 0.5, 900.0, float("nan"), np.bool_(1), None])
def test_an_answer_that_is_no_count_is_refused_for_the_unpruned_network(answer):
    with pytest.raises(EvaluationError, match="no count of correct images"):
        checked_original(answer)
    assert checked_original(np.int64(900)) == checked_original(900) == 900
