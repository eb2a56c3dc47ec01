"""NSGA-II's operators against DEAP's own and against plain definitions, and searches with them."""

import itertools
from collections import Counter

import numpy as np
import pytest
from deap import base, tools
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import FAILED, STOPPED, Aims
from engine.run.codec import decode, encode
from engine.search import nsga2
from engine.search.individual import individuals
from tests.engine.search.test_front import surpasses
from tests.engine.support.synthetic import LAYOUT, RemovedParts, WeightedBits, advance, make_search


def population_of(values, excess=None, masks=None):
    values = np.array(values, float)
    n = len(values)
    if masks is None:
        masks = np.unpackbits(np.arange(n, dtype=np.uint8)[:, None], axis=1).astype(bool)
    aims = Aims(values, np.zeros(n) if excess is None else np.array(excess, float))
    return individuals(masks, np.arange(n), values[:, 0], aims=aims)


class Three(base.Fitness):
    weights = (1.0, 1.0, 1.0)


class Plain:
    def __init__(self, name, values):
        self.name, self.fitness = name, Three(values)


VALUES = st.lists(st.tuples(*[st.integers(0, 6).map(float)] * 3), min_size=1, max_size=40)


@given(VALUES, st.integers(1, 45))
def test_survivors_are_deaps(values, k):
    population = population_of(values)
    expected = tools.selNSGA2([Plain(place, value) for place, value in enumerate(values)], k, nd="log")
    assert nsga2.survive(population, k) == [population[plain.name] for plain in expected]


@given(VALUES)
def test_ranks_are_those_of_peeling_front_after_front(values):
    ranks = [rank for rank, _ in nsga2.standing(population_of(values))]
    left, rank = set(range(len(values))), 0
    while left:
        front = {i for i in left if not any(surpasses(values[j], values[i]) for j in left)}
        assert {i for i in left if ranks[i] == rank} == front
        left, rank = left - front, rank + 1


def test_copies_of_a_mask_do_not_survive_and_the_first_of_them_does():
    masks = np.ones((5, 3), bool)
    masks[1, 0] = masks[3, 0] = masks[4, 2] = False
    population = population_of([[1, 5], [3, 3], [1, 5], [3, 3], [5, 1]], masks=masks)
    assert set(nsga2.survive(population, 5)) == {population[0], population[1], population[4]}


def test_masks_beyond_the_limit_come_last_the_nearest_first():
    population = population_of([[9, 9], [1, 1], [8, 8], [-np.inf, 9], [0, 0]], excess=[3, 0, 1, np.inf, 0])
    for k, places in ((1, [1]), (3, [1, 4, 2]), (4, [1, 4, 2, 0]), (9, [1, 4, 2, 0, 3])):
        assert nsga2.survive(population, k) == [population[place] for place in places]
    assert [rank for rank, _ in nsga2.standing(population)] == [3, 0, 2, 4, 1]
    assert nsga2.survive(population[3:4], 2) == population[3:4]


def test_the_better_of_each_pair_in_a_tournament_is_a_parent():
    """Four ranks, two tournaments a round: the best always wins, the worst never, the others against a lesser rank."""
    population = population_of([[3, 3], [2, 2], [1, 1], [0, 0]])
    won = Counter()
    rng = np.random.default_rng(0)
    for _ in range(3000):
        won.update(int(each.correct) for each in nsga2.select(rng, population, 2))
    # Pairings (best with 1, 2 or 3) are equally likely; the other fight decides the second parent.
    assert won[0] == 3000
    assert won[1] == pytest.approx(2000, abs=120)
    assert won[2] == pytest.approx(1000, abs=120)
    assert won[3] == 0


def test_within_a_rank_the_less_crowded_win_and_equals_win_equally_often():
    population = population_of([[0, 10], [1, 9], [2, 8], [10, 0]])
    distances = [-distance for _, distance in nsga2.standing(population)]
    assert distances[0] == distances[3] == np.inf
    assert distances[1] < distances[2]
    won = Counter()
    rng = np.random.default_rng(1)
    for _ in range(3000):
        won.update(int(each.correct) for each in nsga2.select(rng, population, 2))
    # An end loses only to the other end, which is one pairing of three, and then every second time.
    assert won[0] == pytest.approx(2500, abs=120)
    assert won[3] == pytest.approx(2500, abs=120)
    assert won[2] == pytest.approx(1000, abs=120)
    assert won[1] == 0


@given(VALUES, st.integers(1, 30), st.integers(0, 99))
def test_parents_are_as_many_as_asked_for_and_different_as_long_as_there_are_enough(values, k, seed):
    population = population_of(values)
    chosen = nsga2.select(np.random.default_rng(seed), population, k)
    assert len(chosen) == k
    assert max(Counter(map(id, chosen)).values()) <= -(-k // max(1, len(population) // 2))


def test_migrants_are_on_the_front_and_new_to_the_next_island():
    first = population_of([[0, 10], [5, 5], [6, 4], [10, 0], [0, 0]])
    second = [first[0], first[3]]
    arrivals = nsga2.ring([first, second], 1)
    assert arrivals == [[], [first[1]]]
    assert nsga2.ring([first, second], 9) == [[], [first[1], first[2]]]


def states_of(generations=8, **chosen):
    search = make_search(WeightedBits(chosen.pop("poison", False)), RemovedParts(), front=True, **chosen)
    blobs = [encode(state := search.start(), LAYOUT, "id")]
    advance(search, state, generations, lambda state: blobs.append(encode(state, LAYOUT, "id")))
    return blobs


CHOSEN = [
    {"seed": 4, "mutation": 0.1},
    {"seed": 1, "poison": True, "initial_removal": 0.6},
    {"seed": 2, "islands": 3, "migrate_every": 2},
]


@pytest.mark.parametrize("chosen", CHOSEN)
def test_a_search_interrupted_at_every_generation_is_the_search_that_never_stopped(chosen):
    blobs = states_of(**chosen)
    assert blobs == states_of(**chosen)
    poison = chosen.get("poison", False)
    settings = {name: value for name, value in chosen.items() if name != "poison"}
    for before, after in itertools.pairwise(blobs):
        state, layout, identity = decode(before)
        assert (layout, identity) == (LAYOUT, "id")
        assert encode(state, LAYOUT, "id") == before
        search = make_search(WeightedBits(poison), RemovedParts(), front=True, **settings)
        assert encode(search.step(state), LAYOUT, "id") == after


@pytest.mark.parametrize("chosen", CHOSEN)
def test_invariants_of_every_generation(chosen):
    states = [decode(blob)[0] for blob in states_of(**chosen)]
    for before, after in itertools.pairwise(states):
        assert after.best.individual.score >= before.best.individual.score
        assert after.front.hypervolume() >= before.front.hypervolume() - 1e-12
    for state in states:
        assert state.best.figures["accuracy_drop"] < 5
        for island in state.islands:
            masks = [individual.mask.tobytes() for individual in island.population]
            assert len(masks) == len(set(masks)) <= 20
    last = states[-1]
    rows = {individual.mask.tobytes() for individual in last.population}
    assert not any(individual.correct == FAILED for individual in last.population)
    # No island's population is dominated: all that it could hold of the front, it holds.
    if len(last.islands) == 1 and len(last.front) <= 20:
        assert {mask.tobytes() for mask in last.front.masks(last.archive)} <= rows


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([0.02, 0.1, 0.4]),
    st.integers(4, 20),
)
def test_early_stopping_leaves_the_search_as_it_was(seed, islands, poison, mutation, cap):
    chosen = {"seed": seed, "islands": islands, "migrate_every": 3, "mutation": mutation, "population_cap": cap}
    chosen |= {"population": 6, "parents": 4, "initial_removal": 0.5}
    runs = []
    for stop_early in (True, False):
        search = make_search(
            WeightedBits(poison), RemovedParts(limit=6), front=True, stop_early=stop_early, **chosen
        )
        state = advance(search, search.start(), 10)
        members = [[(i.mask.tobytes(), i.correct) for i in island.population] for island in state.islands]
        front = state.front.rows.tolist(), state.front.values.tolist(), state.front.hypervolume()
        rngs = [island.rng.bit_generator.state for island in state.islands]
        runs.append((members, front, rngs, state.best.to_json(), state.archive.to_arrays()[0].tobytes()))
    assert runs[0] == runs[1]
    assert state.stopped == 0


def test_masks_beyond_the_limit_are_stopped_once_the_population_is_full_of_others_and_not_before():
    search = make_search(WeightedBits(), RemovedParts(limit=6), front=True, seed=3, mutation=0.1)
    state, full = search.start(), False
    for _ in range(12):
        before, state = state.stopped, search.step(state)
        assert full or state.stopped == before
        full = len(state.population) == 20 and not any(each.excess for each in state.population)
    packed, counts = state.archive.to_arrays()
    stopped = LAYOUT.unpack(packed[counts == STOPPED])
    assert len(stopped) == state.stopped > 10
    assert (100 * (900 - WeightedBits().count(stopped)) / 900 > 6).all()


def test_the_front_of_nsga2_covers_more_than_that_of_a_search_for_one_mask():
    def volume(front):
        search = make_search(
            WeightedBits(),
            RemovedParts(),
            front=front,
            seed=6,
            mutation=0.05,
            stop_early=False,
            initial_removal=0.1,
        )
        state = advance(search, search.start(), 25)
        from engine.search.front import front_of

        return front_of(state.archive, LAYOUT, search.objective, state.original_correct).hypervolume()

    assert volume(True) > volume(False)
