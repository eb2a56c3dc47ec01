"""Islands against one population, plain loops, and themselves when interrupted, stopped early or shuffled."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts import FAILED, STOPPED
from engine.run.codec import decode, encode
from engine.run.journal import journal_row
from engine.search import islands
from engine.search.individual import individuals
from engine.search.stopping import target_for
from tests.engine.support.synthetic import LAYOUT, WeightedBits, WeightedBitsByImage, advance, make_search

NEVER = 10**9


def plain(population):
    return [(individual.mask.tobytes(), individual.correct, individual.score) for individual in population]


def plain_islands(state):
    return [plain(island.population) for island in state.islands]


def copied(state):
    return decode(encode(state, LAYOUT, "id"))[0]


def states_of(search, generations):
    """Copies of the states, because a step changes the archive and the generators."""
    state = search.start()
    states = [copied(state)]
    advance(search, state, generations, lambda state: states.append(copied(state)))
    return states


def rows_of(states):
    before = [0, *(state.evaluations for state in states)]
    return [journal_row(state, previous) for state, previous in zip(states, before, strict=False)]


SMALL = st.fixed_dictionaries(
    {
        "islands": st.integers(2, 4),
        "migrate_every": st.integers(1, 4),
        "migrants": st.integers(1, 3),
        "seed": st.integers(0, 2**32 - 1),
        "pairing": st.sampled_from(["adjacent", "all"]),
        "population": st.just(6),
        "parents": st.just(4),
        "population_cap": st.integers(4, 20),
        "mutation": st.sampled_from([0.0, 0.02, 0.1, 0.4]),
        "initial_removal": st.floats(0, 0.6),
    }
)


def test_island_0_is_a_search_of_one_population_until_migrants_arrive():
    alone = states_of(make_search(seed=3), 8)
    among = states_of(make_search(seed=3, islands=3, migrate_every=6), 8)
    for one, many in zip(alone[:6], among[:6], strict=True):
        assert plain(one.population) == plain(many.islands[0].population)
    assert plain(alone[6].population) != plain(among[6].islands[0].population)


def test_an_island_does_not_depend_on_how_many_there_are_and_none_is_like_another():
    few = make_search(seed=3, islands=3, migrate_every=NEVER)
    many = make_search(seed=3, islands=5, migrate_every=NEVER)
    for one, other in zip(states_of(few, 6), states_of(many, 6), strict=True):
        assert plain_islands(one) == plain_islands(other)[:3]
        assert len({json.dumps(island.rng.bit_generator.state) for island in other.islands}) == 5
    assert len({str(population) for population in plain_islands(other)}) == 5


def after_migration(populations, migrants, cap):
    """Migration on the ring in plain loops: the worst individuals leave until the rest fits."""
    sent = []
    for population in populations:
        best = []
        for _, member in sorted(enumerate(population), key=lambda pair: (-pair[1][2], pair[0])):
            if member[1] != FAILED and member[0] not in [mask for mask, _, _ in best]:
                best.append(member)
        sent.append(best[:migrants])
    result = []
    for number, population in enumerate(populations):
        before = (number + len(populations) - 1) % len(populations)
        here = list(population)
        for member in sent[before]:
            if not any(member[0] == mask for mask, _, _ in population):
                here.append(member)
        while len(here) > cap:
            worst = min(score for _, _, score in here)
            del here[max(place for place, member in enumerate(here) if member[2] == worst)]
        result.append(sorted(here, key=lambda member: -member[2]))
    return result


@given(SMALL, st.booleans())
def test_a_migration_equals_plain_loops_over_the_generation_without_it(chosen, poison):
    migrating = make_search(WeightedBits(poison), **chosen)
    isolated = make_search(WeightedBits(poison), **{**chosen, "migrate_every": NEVER})
    for before, after in itertools.pairwise(states_of(migrating, 8)):
        without = plain_islands(isolated.step(before))
        if after.generation % chosen["migrate_every"] == 0:
            assert plain_islands(after) == after_migration(without, chosen["migrants"], chosen["population_cap"])
        else:
            assert plain_islands(after) == without


@given(SMALL, st.booleans())
def test_no_island_loses_its_best_nor_lowers_its_bar(chosen, poison):
    migrating = make_search(WeightedBits(poison), **chosen)
    isolated = make_search(WeightedBits(poison), **{**chosen, "migrate_every": NEVER})
    for before, after in itertools.pairwise(states_of(migrating, 8)):
        old = plain_islands(before)
        own = plain_islands(isolated.step(before))
        for earlier, without, now in zip(old, own, plain_islands(after), strict=True):
            assert without[0] in now
            assert len(earlier) <= len(now) <= chosen["population_cap"]
            if len(earlier) == chosen["population_cap"]:
                assert min(score for _, _, score in now) >= min(score for _, _, score in earlier)
        assert after.best.individual.score >= before.best.individual.score


@pytest.mark.parametrize(("every", "moves"), [(1, True), (3, True), (NEVER, False)])
def test_a_mask_moves_one_island_at_a_time_and_arrives_once(every, moves):
    """Only island 0 holds a good mask; without mutation the others can get the mask only by migration."""
    search = make_search(islands=4, migrate_every=every, migrants=1, mutation=0.0, initial_removal=0.0)
    state = search.start()
    treasure = LAYOUT.full()
    treasure[0] = False
    state.islands[0].population[:0] = individuals(treasure[None], np.array([890]), np.array([50.0]))
    for _ in range(12):
        state = search.step(state)
        holders = [treasure.tobytes() in [mask for mask, _, _ in found] for found in plain_islands(state)]
        reached = min(3, state.generation // every) if moves else 0
        assert holders == [number <= reached for number in range(4)]


def test_clones_and_failed_masks_do_not_migrate():
    masks = np.ones((6, 3), bool)
    masks[2, 0] = masks[4, 1] = masks[5, 2] = False
    population = individuals(
        masks, np.array([9, 9, 5, 9, FAILED, 5]), np.array([7.0, 7.0, 3.0, 7.0, -np.inf, 3.0])
    )
    assert islands.emigrants(population, 5) == [population[0], population[2], population[5]]
    assert islands.emigrants(population, 2) == [population[0], population[2]]
    assert islands.ring([population, population[:1], population[2:3]], 2) == [
        [],
        [population[2]],
        [population[0]],
    ]


@given(SMALL)
def test_no_mask_is_evaluated_twice_whichever_islands_breed_it(chosen):
    evaluator = WeightedBits()
    final = states_of(make_search(evaluator, **chosen), 8)[-1]
    assert len(evaluator.seen) == len(set(evaluator.seen)) == final.evaluations == len(final.archive)


def test_the_islands_of_a_generation_are_evaluated_in_one_call():
    class Counting(WeightedBits):
        calls = 0

        def evaluate(self, masks, target=None):
            self.calls += 1
            return super().evaluate(masks, target)

    evaluator = Counting()
    states_of(make_search(evaluator, islands=4, mutation=0.2), 6)
    assert evaluator.calls == 7


@pytest.mark.parametrize("chosen", [{"islands": 3, "migrate_every": 2}, {"islands": 2, "race": 0.2}])
def test_a_search_interrupted_at_every_generation_is_the_search_that_never_stopped(chosen):
    def search():
        return make_search(WeightedBitsByImage(1), seed=4, mutation=0.1, **chosen)

    blobs = [encode(state, LAYOUT, "id") for state in states_of(search(), 9)]
    for before, after in itertools.pairwise(blobs):
        state, layout, identity = decode(before)
        assert (layout, identity) == (LAYOUT, "id")
        assert encode(state, LAYOUT, "id") == before
        assert encode(search().step(state), LAYOUT, "id") == after
    assert decode(blobs[-1])[0].stopped > 0


def test_neither_order_nor_batches_of_the_evaluation_matter():
    class OneByOne(WeightedBits):
        """Evaluates masks one by one in a random order."""

        def evaluate(self, masks, target=None):
            answer = np.zeros(len(masks), np.int64)
            for row in np.random.default_rng().permutation(len(masks)):
                part = None if target is None else target.rows([row])
                answer[row] = super().evaluate(masks[[row]], part)[0]
            return answer

    chosen = {"islands": 3, "migrate_every": 2, "seed": 8}
    together, apart = states_of(make_search(**chosen), 8), states_of(make_search(OneByOne(), **chosen), 8)
    assert [encode(s, LAYOUT, "") for s in together] == [encode(s, LAYOUT, "") for s in apart]


@given(SMALL, st.booleans())
def test_early_stopping_leaves_islands_as_they_were(chosen, poison):
    check_that_stopping_changes_nothing(chosen, poison)


@pytest.mark.slow
@given(SMALL, st.booleans())
@settings(max_examples=150)
def test_early_stopping_leaves_many_islands_as_they_were(chosen, poison):
    check_that_stopping_changes_nothing(chosen, poison)


def check_that_stopping_changes_nothing(chosen, poison):
    stopping = states_of(make_search(WeightedBits(poison), stop_early=True, **chosen), 12)
    finishing = states_of(make_search(WeightedBits(poison), stop_early=False, **chosen), 12)
    for one, other in zip(stopping, finishing, strict=True):
        assert plain_islands(one) == plain_islands(other)
        assert one.best.to_json() == other.best.to_json()
        for island, twin in zip(one.islands, other.islands, strict=True):
            assert island.rng.bit_generator.state == twin.rng.bit_generator.state
        assert one.archive.to_arrays()[0].tobytes() == other.archive.to_arrays()[0].tobytes()
        counts, whole = one.archive.to_arrays()[1], other.archive.to_arrays()[1]
        np.testing.assert_array_equal(counts[counts != STOPPED], whole[counts != STOPPED])


def test_islands_stop_masks_once_all_are_full_and_not_before():
    for state in states_of(make_search(seed=3, islands=3), 10):
        full = [len(island.population) == 20 for island in state.islands]
        assert state.stopped == 0 or all(full)
    assert state.stopped > 40


@pytest.mark.parametrize("island", [0, 1, 2])
def test_nothing_is_stopped_while_one_island_has_room(island):
    search = make_search(seed=3, islands=3)
    state = advance(search, search.start(), 6)
    asked = (LAYOUT.full()[None], search.objective, search.settings, WeightedBits.total)
    assert target_for(state, *asked) is not None
    state.islands[island].population.pop()
    assert target_for(state, *asked) is None


def test_journal_rows_have_each_island_if_there_are_several():
    states = states_of(make_search(islands=3, seed=1, initial_removal=0.5), 6)
    for state, row in zip(states, rows_of(states), strict=True):
        parts = row["islands"]
        assert [part["size"] for part in parts] == [len(island.population) for island in state.islands]
        assert sum(part["size"] for part in parts) == row["population"]["size"] == len(state.population)
        assert max(part["highest_score"] for part in parts) == row["population"]["highest_score"]
        assert min(part["lowest_score"] for part in parts) == row["population"]["lowest_score"]
    assert len({part["median_score"] for row in rows_of(states) for part in row["islands"]}) > 3
    [alone] = rows_of(states_of(make_search(), 0))
    assert "islands" not in alone


def test_islands_that_do_not_fit_their_population_are_refused():
    blob = encode(make_search(islands=2).start(), LAYOUT, "id")
    assert blob.count(b'\\"population\\": 12,') == 2
    with pytest.raises(ValueError, match="do not add up"):
        decode(blob.replace(b'\\"population\\": 12,', b'\\"population\\": 11,', 1))
