"""Origins of removed filters: by hand, against a replay of the operators, interrupted and on islands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import CheckpointError
from engine.run import checkpoint
from engine.run.codec import decode, encode
from engine.run.journal import journal_row
from engine.search.ancestry import MUTATION, Brood, ancestry
from engine.search.individual import individuals
from engine.search.loop import Search
from engine.search.operators import population
from engine.search.settings import SearchSettings
from engine.stores.locations import open_store
from tests.engine.run.test_checkpoint import HEAD, signed, with_header
from tests.engine.support.synthetic import LAYOUT, RemovedBits, WeightedBits, advance, make_search


class TwoKinds:
    """Half near the original, half with every third bit gone."""

    origins = ("near", "third")

    def __call__(self, rng, evaluator=None):
        near = population.near_original(rng, LAYOUT, 6, 0.1)
        third = np.ones((6, LAYOUT.n_filters), bool)
        third[:, 7::3] = rng.random((6, 5)) < 0.5
        return np.concatenate([near, third]), np.repeat([0, 1], 6).astype(np.uint8)


def seeded(**settings):
    chosen = {"population": 12, "parents": 6, "population_cap": 20, "mutation": 0.05, **settings}
    return Search(SearchSettings(**chosen), LAYOUT, WeightedBits(), RemovedBits(), TwoKinds())


def blobs_of(search, generations, state=None):
    state = state or search.start()
    blobs = [encode(state, LAYOUT, "id")]
    advance(search, state, generations, lambda state: blobs.append(encode(state, LAYOUT, "id")))
    return blobs


def test_a_bit_keeps_its_origin_through_crossover_until_it_flips():
    parents = Brood.founded(np.array([[0, 0, 0, 1, 1], [1, 1, 0, 0, 0]], bool), np.array([0, 1]))
    # Head of the first up to bit 2, tail of the second.
    crossed = parents.crossed(lambda rows: np.concatenate([rows[:1, :2], rows[1:, 2:]], axis=1))
    assert crossed.masks.tolist() == [[False, False, False, False, False]]
    assert crossed.origins.tolist() == [[0, 0, 1, 1, 1]]
    changed = crossed.changed(np.array([[0, 1, 0, 0, 0]], bool), mutation=2)
    assert changed.origins.tolist() == [[0, 2, 1, 1, 1]]
    back = changed.changed(np.zeros((1, 5), bool), mutation=2)
    [individual] = individuals(back.masks, np.array([9]), np.array([1.0]), back.origins)
    assert ancestry(individual, ("a", "b", MUTATION)) == {"a": 1, "b": 3, MUTATION: 1}


def test_without_mutation_every_removed_filter_is_that_of_some_founder():
    search = seeded(mutation=0.0)
    masks, numbers = TwoKinds()(np.random.Generator(np.random.PCG64(np.random.SeedSequence(0))))
    seen = [search.start()]
    advance(search, seen[0], 8, seen.append)
    found = [individual for state in seen for individual in state.population]
    assert any(len(set(individual.origins)) == 2 for individual in found)
    for individual in found:
        for place, (keep, origin) in enumerate(zip(individual.mask, individual.origins, strict=True)):
            assert keep in masks[numbers == origin, place]


def test_the_unpruned_network_has_an_empty_ancestry():
    class Brittle(WeightedBits):
        def evaluate(self, masks, target=None):
            return np.where(masks.all(axis=1), 900, 10)

    settings = SearchSettings(population=12, parents=6, population_cap=20, mutation=0.05)
    state = Search(settings, LAYOUT, Brittle(), RemovedBits(), TwoKinds()).start()
    assert state.best.to_json()["ancestry"] == {"near": 0, "third": 0, MUTATION: 0}


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_origins_change_nothing_else_and_add_up(seed, islands):
    chosen = {"seed": seed, "islands": islands, "migrate_every": 2}
    search = seeded(**chosen)
    plain = make_search(**chosen)
    plain.toolbox.register("initialise", lambda rng: TwoKinds()(rng)[0])
    state, other = search.start(), plain.start()
    for _ in range(6):
        state, other = search.step(state), plain.step(other)
        row, without = journal_row(state, 0), journal_row(other, 0)
        counts = row["best"].pop("ancestry")
        assert row == without
        assert list(counts) == ["near", "third", MUTATION]
        assert sum(counts.values()) == (~state.best.individual.mask).sum()
        assert all(individual.origins.max() <= 2 for individual in state.population)


@given(st.integers(0, 5), st.integers(1, 2))
def test_a_seeded_search_continued_from_bytes_is_the_one_that_never_stopped(stop, islands):
    chosen = {"seed": 4, "islands": islands, "migrate_every": 2}
    blobs = blobs_of(seeded(**chosen), 6)
    assert blobs_of(seeded(**chosen), 6) == blobs
    state, _, _ = decode(blobs[stop])
    assert state.origins == ("near", "third", MUTATION)
    # What continues it has no founders: generation 0 is behind it.
    assert blobs_of(make_search(**chosen), 6, state) == blobs[stop:]


def test_islands_do_not_depend_on_how_many_there_are():
    few, many = (seeded(islands=count, migrate_every=100).start() for count in (2, 4))
    for one, other in zip(few.islands, many.islands, strict=False):
        for individual, same in zip(one.population, other.population, strict=True):
            assert individual.mask.tobytes() == same.mask.tobytes()
            assert individual.origins.tobytes() == same.origins.tobytes()


CHANGES = {
    "fewer origins": lambda header: header.update(origins=["near"]),
    "origins under other names": lambda header: header.update(origins=["near", "far", MUTATION]),
    "no ancestry": lambda header: header["best"].pop("ancestry"),
    "an ancestry of text": lambda header: header["best"]["ancestry"].update(near="all"),
    "origins of numbers": lambda header: header.update(origins=3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_forged_origins_are_refused(change):
    store = open_store("memory://origins/run")
    search = seeded()
    name = checkpoint.save(store, search.step(search.start()), LAYOUT, "id")
    assert checkpoint.read(store, name).state.origins
    store.write(name, signed(with_header(store.read(name)[HEAD:], change)))
    with pytest.raises(CheckpointError, match="was not written by this version"):
        checkpoint.read(store, name)
