"""The count that a mask needs, against DEAP's survivor selection tried with every count."""

import numpy as np
import pytest
from deap import tools
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts import FAILED, STOPPED, Appraisal
from engine.errors import EvaluationError, OptionError
from engine.run.codec import decode, encode
from engine.search.best import best_of, better
from engine.search.individual import individuals
from engine.search.islands import Island
from engine.search.state import SearchState
from engine.search.stopping import least_counts, target_for
from tests.engine.support.synthetic import (
    LAYOUT,
    RemovedBits,
    WeightedBits,
    WeightedBitsByImage,
    advance,
    make_search,
)

TOTAL = 12
# Few values, so that ties are common.
SCORES = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0])


class Tables:
    """Objective: any scores and feasibility that never fall with the count."""

    monotone = True

    def __init__(self, scores, feasible_from):
        self.scores = np.sort(np.array(scores), axis=1)
        self.feasible_from = np.array(feasible_from)

    def appraise(self, masks, correct, original_correct):
        assert correct.min() >= 0
        assert correct.max() <= TOTAL
        rows = masks.argmax(axis=1)
        return Appraisal(self.scores[rows, correct], correct >= self.feasible_from[rows], {})


@st.composite
def situations(draw):
    """A full population, BEST in it or outside, and an objective for 3 newcomers."""
    scores = draw(st.lists(SCORES, min_size=2, max_size=5))
    masks = np.ones((len(scores), 3), bool)
    population = individuals(masks, np.zeros(len(scores), np.int64), np.array(scores))
    best_score, best_count = draw(SCORES.filter(np.isfinite)), draw(st.integers(0, TOTAL))
    best = individuals(masks[:1], np.array([best_count]), np.array([best_score]))
    tables = draw(st.lists(st.lists(SCORES, min_size=TOTAL + 1, max_size=TOTAL + 1), min_size=3, max_size=3))
    feasible_from = draw(st.lists(st.integers(0, TOTAL + 1), min_size=3, max_size=3))
    return population, best, Tables(tables, feasible_from)


@given(situations())
@settings(max_examples=100)
def test_the_least_count_is_the_first_with_which_a_mask_survives_or_becomes_best(situation):
    population, best, objective = situation
    masks = np.eye(3, dtype=bool)
    champion = best_of(best, Appraisal(np.zeros(1), np.ones(1, bool), {}), 0)
    state = SearchState(1, [Island(population, None)], champion, None, TOTAL, 0, 0, 0)

    def matters(row, count):
        mask, counts = masks[row : row + 1].copy(), np.array([count])
        appraisal = objective.appraise(mask, counts, TOTAL)
        newcomers = individuals(mask, counts, appraisal.score)
        survivors = tools.selBest(population + newcomers, len(population))
        return newcomers[0] in survivors or better(champion, newcomers, appraisal) is not champion

    expected = [next((c for c in range(TOTAL + 1) if matters(row, c)), TOTAL + 1) for row in range(3)]
    assert least_counts(state, masks, objective, TOTAL).tolist() == expected


@given(situations())
def test_failed_masks_never_enter_a_full_population(situation):
    population, _, _ = situation
    failed = individuals(np.ones((2, 3), bool), np.array([FAILED, FAILED]), np.array([-np.inf, -np.inf]))
    assert tools.selBest(population + failed, len(population)) == tools.selBest(population, len(population))


def course(search, generations):
    """All of the state that must not depend on stopping, after each generation."""
    state = search.start()
    for _ in range(generations):
        yield (
            [(i.mask.tobytes(), i.correct, i.score) for i in state.population],
            state.best.to_json(),
            state.islands[0].rng.bit_generator.state,
            state.archive.to_arrays()[0].tobytes(),
            state.evaluations,
        )
        state = search.step(state)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["adjacent", "all"]),
    st.integers(4, 25),
    st.sampled_from([0.0, 0.02, 0.1, 0.4]),
    st.floats(0, 0.6),
    st.booleans(),
)
@settings(max_examples=30)
def test_early_stopping_leaves_the_search_as_it_was(seed, pairing, cap, mutation, removal, poison):
    chosen = {
        "seed": seed,
        "pairing": pairing,
        "population": 6,
        "parents": 4,
        "population_cap": cap,
        "mutation": mutation,
        "initial_removal": removal,
    }
    stopping = course(make_search(WeightedBits(poison), stop_early=True, **chosen), 12)
    finishing = course(make_search(WeightedBits(poison), stop_early=False, **chosen), 12)
    for one, other in zip(stopping, finishing, strict=True):
        assert one == other


def test_masks_are_stopped_counted_and_kept_out_of_the_population():
    search, whole = make_search(seed=3), make_search(seed=3, stop_early=False)
    state, full = search.start(), whole.start()
    for _ in range(10):
        state, full = search.step(state), whole.step(full)
        assert STOPPED not in [individual.correct for individual in state.population]
        assert np.isfinite([individual.score for individual in state.population]).all()
    counts, full_counts = state.archive.to_arrays()[1], full.archive.to_arrays()[1]
    stopped = counts == STOPPED
    assert stopped.sum() == state.stopped > 20
    assert full.stopped == 0
    np.testing.assert_array_equal(counts[~stopped], full_counts[~stopped])


def test_a_search_continued_from_bytes_keeps_stopped_masks():
    search = make_search(WeightedBitsByImage(0), seed=4, race=0.1)
    state = advance(search, search.start(), 4)
    assert state.stopped > 0
    evaluator = WeightedBitsByImage(0)
    copy, _, _ = decode(encode(state, LAYOUT, "id"))
    resumed = advance(make_search(evaluator, seed=4, race=0.1), copy, 9)
    assert encode(resumed, LAYOUT, "id") == encode(advance(search, state, 9), LAYOUT, "id")
    assert resumed.stopped > copy.stopped


@pytest.mark.parametrize("islands", [1, 3])
def test_the_risk_of_a_mask_follows_from_how_many_were_evaluated_before_it(islands):
    class Listening(WeightedBits):
        def evaluate(self, masks, target=None):
            if target is not None:
                risks_heard.update(zip(range(len(self.seen) + 1, self.total), target.risk, strict=False))
            return super().evaluate(masks, target)

    risks_heard = {}
    search = make_search(Listening(), race=0.3, islands=islands)
    state = advance(search, search.start(), 8)
    assert max(risks_heard) == state.evaluations
    assert len(risks_heard) > 50
    for number, risk in risks_heard.items():
        assert risk == pytest.approx(0.3 / (number * (number + 1)), rel=1e-12)


def test_nothing_is_stopped_where_that_could_change_the_search():
    class Moody(RemovedBits):
        monotone = False

    state = make_search().start()
    assert len(state.population) < 20
    masks = LAYOUT.full()[None]
    search = make_search()
    assert target_for(state, masks, search.objective, search.settings, 1000) is None
    lottery = make_search()
    lottery.toolbox.register("survive", tools.selWorst, k=20)
    wide = make_search()
    wide.toolbox.register("survive", tools.selBest, k=25)
    own = make_search()
    own.toolbox.survive = lambda population: population[:20]
    for search in (make_search(objective=Moody()), lottery, wide, own, make_search(stop_early=False)):
        assert advance(search, search.start(), 8).stopped == 0
    with pytest.raises(OptionError, match="`race`"):
        make_search(objective=Moody(), race=0.1)


def test_an_evaluator_that_stops_a_mask_without_leave_is_refused():
    class Eager(WeightedBits):
        """Stops every mask as soon as there is a target, or at once."""

        def __init__(self, at_once):
            super().__init__(poison=True)
            self.at_once = at_once

        def evaluate(self, masks, target=None):
            if self.at_once or target is not None:
                return np.full(len(masks), STOPPED)
            return super().evaluate(masks)

    with pytest.raises(EvaluationError, match="not allowed to stop"):
        make_search(Eager(at_once=True)).start()
    # Any count is better than the failed masks of this population.
    search = make_search(Eager(at_once=False), population=20, initial_removal=0.5, seed=1)
    state = search.start()
    assert state.failures > 0
    with pytest.raises(EvaluationError, match="not allowed to stop"):
        search.step(state)


@pytest.mark.parametrize("islands", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_race_sees_fewer_images_and_errs_as_rarely_as_promised(islands):
    race, trials = 0.4, 30
    wrong, seen = 0, {0.0: 0, race: 0}
    for trial in range(trials):
        for chosen in (0.0, race):
            evaluator = WeightedBitsByImage(trial)
            options = {"mutation": 0.2, "population_cap": 12, "islands": islands, "migrate_every": 2}
            search = make_search(evaluator, seed=trial, race=chosen, **options)
            advance(search, search.start(), 6)
            seen[chosen] += evaluator.images_seen
            if chosen:
                wrong += evaluator.wrongly_stopped > 0
            else:
                assert evaluator.wrongly_stopped == 0
    assert wrong <= race * trials
    assert seen[race] < 0.85 * seen[0.0]
