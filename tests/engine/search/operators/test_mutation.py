"""Mutations: properties for random masks."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OptionError
from engine.layout import Layout
from engine.run.codec import decode, encode
from engine.search.loop import Search
from engine.search.operators.crossover import CROSSOVERS, single_point_crossover
from engine.search.operators.guide import Guide, heavy_tailed, lowest
from engine.search.operators.mutation import (
    ATTEMPTS,
    MUTATIONS,
    flip_bits,
    mutation,
    redrawn,
)
from engine.search.settings import SearchSettings
from tests.engine.support.synthetic import LAYOUT, RemovedBits, WeightedBits, advance, make_search, random_masks

GUIDE = Guide.of([np.arange(20.0), -np.arange(20.0)], LAYOUT)


def changed(name, seed, layout=LAYOUT, guide=GUIDE):
    """Masks before and after one mutation."""
    masks = random_masks(seed)
    made = mutation(name, 0.1, layout, guide)
    single = made if name == "bits" else made.keywords["mutations"][0]
    return masks, single(np.random.default_rng(seed + 1), masks.copy())


@given(st.integers(0, 2**32 - 1))
def test_moves_of_budget_change_two_layers_at_most(seed):
    masks, after = changed("budget", seed)
    assert after.dtype == bool
    assert after.shape == masks.shape
    differs = masks ^ after
    layers = np.stack([part.any(axis=1) for part in LAYOUT.split(differs).values()], axis=1).sum(axis=1)
    kept, left = LAYOUT.kept(masks), LAYOUT.kept(after)
    assert layers.max() <= 2
    assert left.min() > 0
    assert ((left < kept).sum(axis=1) <= 1).all()
    assert ((left > kept).sum(axis=1) <= 1).all()
    assert differs.any()


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_changes_masks_and_the_help_tells_it(name):
    masks, after = changed(name, 0)
    assert (masks != after).any()
    [field] = (field for field in fields(SearchSettings) if field.name == "mutate")
    assert f"{name} {MUTATIONS[name].help}" in field.metadata["help"]


def test_guided_mutations_follow_the_guide():
    layout = Layout(("only",), (1000,))
    guide = Guide.of([np.arange(1000.0)], layout)
    masks = np.tile(np.arange(1000) % 2 == 0, (200, 1))
    for name in (name for name, each in MUTATIONS.items() if each.guided):
        after = mutation(name, 0.0, layout, guide).keywords["mutations"][0](np.random.default_rng(0), masks)
        gone, back = np.nonzero(masks & ~after)[1], np.nonzero(~masks & after)[1]
        assert np.median(gone) < 400, name
        assert len(back) == 0 or np.median(back) > 600, name


def test_mutation_flips_both_ways_at_the_given_rate():
    rng = np.random.default_rng(0)
    masks = np.zeros((200, 5000), bool)
    masks[:, ::2] = True
    flipped = flip_bits(rng, masks, 0.0002) ^ masks
    assert abs(flipped.sum() - 200) < 60
    assert flipped[:, ::2].any()
    assert flipped[:, 1::2].any()
    np.testing.assert_array_equal(flip_bits(rng, masks, 0.0), masks)
    np.testing.assert_array_equal(flip_bits(rng, masks, 1.0), ~masks)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50), st.integers(0, 2**32 - 1))
def test_heavy_tailed_amounts_are_in_range(largest, seed):
    amounts = heavy_tailed(np.random.default_rng(seed), np.array(largest))
    assert ((amounts >= np.minimum(largest, 1)) & (amounts <= largest)).all()


def test_heavy_tailed_amounts_follow_a_power_law():
    amounts = heavy_tailed(np.random.default_rng(0), np.full(200_000, 1000))
    # A continuous law of exponent 1.5 from 1 on, rounded down: P(amount >= k) = (k^-.5 - 1001^-.5) / (1 - 1001^-.5).
    for k in (2, 10, 100):
        expected = (k**-0.5 - 1001**-0.5) / (1 - 1001**-0.5)
        assert abs((amounts >= k).mean() - expected) < 0.005


def test_the_lowest_are_among_the_eligible():
    keys = np.array([[3.0, 1.0, 2.0, 0.0], [0.0, 1.0, 2.0, 3.0]])
    eligible = np.array([[True, True, True, False], [False, False, False, True]])
    assert lowest(keys, eligible, np.array([2, 3])).tolist() == [
        [False, True, True, False],
        [False, False, False, True],
    ]


def test_the_operators_of_the_thesis_are_the_default():
    search = make_search()
    assert search.toolbox.mate.func is single_point_crossover
    assert search.toolbox.mutate.keywords == {"probability": 0.05}


def make(name, mate, evaluator=None, **settings):
    """A search with any mutation, with a guide if needed."""
    sizes = {"population": 12, "parents": 6, "population_cap": 12, "mutation": 0.05}
    chosen = SearchSettings(**sizes, mutate=name, crossover=mate, **settings)
    return Search(chosen, LAYOUT, evaluator or WeightedBits(), RemovedBits(), None, GUIDE)


@pytest.mark.parametrize("name", [*MUTATIONS, ",".join(MUTATIONS)])
@pytest.mark.parametrize("mate", sorted(CROSSOVERS))
def test_a_search_continued_from_bytes_is_the_search_that_never_stopped(name, mate):
    blobs = []
    search = make(name, mate, islands=2, migrate_every=2)
    advance(search, search.start(), 5, lambda state: blobs.append(encode(state, LAYOUT, "id")))
    state, _, _ = decode(blobs[1])
    again = advance(make(name, mate, islands=2, migrate_every=2), state, 5)
    assert encode(again, LAYOUT, "id") == blobs[-1]
    assert len(set(blobs)) == 5


@pytest.mark.parametrize("name", ["budget", "bits,budget"])
def test_stopping_early_changes_no_population(name):
    finals = []
    for stop in (True, False):
        search = make(name, "layers", stop_early=stop)
        finals.append(advance(search, search.start(), 6))
    assert [i.mask.tobytes() for i in finals[0].population] == [i.mask.tobytes() for i in finals[1].population]


def test_screened_offspring_are_worth_their_evaluation():
    evaluator = WeightedBits()
    search = make("budget", "layers", evaluator)
    before = search.start()
    bar = min(individual.score for individual in before.population)
    seen = len(evaluator.seen)
    search.step(before)
    fresh = np.frombuffer(b"".join(evaluator.seen[seen:]), bool).reshape(-1, LAYOUT.n_filters)
    assert len(fresh) == 12
    assert (100 * (~fresh).mean(axis=1) > bar).mean() > 0.9
    assert len(evaluator.seen) == len(set(evaluator.seen))


def test_redrawing_ends():
    calls = []

    def draw(rows):
        calls.append(len(rows))
        return np.ones((len(rows), 3), bool)

    masks = redrawn(np.zeros((4, 3), bool), draw, lambda drawn: drawn.all(axis=1))
    # The first of equals is kept as it is.
    assert masks.tolist() == [[False] * 3, *[[True] * 3] * 3]
    assert calls == [3] * ATTEMPTS


def test_a_guide_has_places_within_layers():
    guide = Guide.of([np.array([3.0, 1.0, 2.0, 9.0, *range(16)])], LAYOUT)
    assert guide.places[0, :6].tolist() == [0.7, 0.3, 0.5, 0.9, 0.1, 0.5]
    assert guide.draw(np.random.default_rng(0), 7).shape == (7, 20)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"mutate": "bitz"}, "`mutate` 'bitz' is not known"),
        ({"mutate": "budget,budget"}, "`mutate` names budget twice"),
        ({"crossover": "two"}, "`crossover` must be one of point, layers, not 'two'"),
    ],
)
def test_unknown_operators_are_named(values, sentence):
    with pytest.raises(OptionError, match=sentence):
        SearchSettings(**values)


def test_a_guided_mutation_needs_a_guide():
    with pytest.raises(
        OptionError, match="`mutate` budget needs importances to go by; name some with `seed_with`"
    ):
        make_search(mutate="budget")
