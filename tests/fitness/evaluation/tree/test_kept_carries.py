"""What is kept of earlier masks changes no count, only how many programs run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitness.evaluation import programs
from fitness.evaluation.compaction import Compaction
from fitness.evaluation.counting import MaskedCounter
from fitness.evaluation.division import Batches
from fitness.evaluation.tree.kept_carries import KeptCarries, Shelf
from tests.fitness.evaluation.test_evaluator import random_masks
from tests.fitness.evaluation.test_recalibrated_evaluator import (
    DATA,
    NORMALISATION,
    compensation_of,
    problem,
)


def generations(layout, count, seed):
    """Parents, and in each later generation crossings of them that are parents of the next."""
    rng = np.random.default_rng(seed)
    parents = random_masks(layout, 4, seed)
    yield parents
    for _ in range(count):
        first, second = parents, parents[rng.permutation(len(parents))]
        cut = np.arange(layout.n_filters) < rng.integers(layout.n_filters + 1, size=(len(parents), 1))
        offspring = np.where(cut, first, second)
        yield offspring
        parents = np.concatenate([parents, offspring])[rng.permutation(8)[:4]]


def runs_of(monkeypatch):
    """The programs that are called, as they are called."""
    called = []

    def call(program, *arguments):
        called.append(program)
        return program(*arguments)

    monkeypatch.setattr(programs, "call", call)
    return called


@pytest.mark.parametrize("kind", ["vgg", pytest.param("resnet", marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", [None, "linear+recalibrate"])
def test_counts_are_those_without_anything_kept(kind, method, quick_compilation, monkeypatch):
    model, layout = problem(kind)
    compensation = None if method is None else compensation_of(model, layout, method)
    of_all = 50 * 4 * 8 * 8 * 6
    found, called = {}, runs_of(monkeypatch)
    for kept in (0, of_all // 3, 100 * of_all):
        counter = MaskedCounter(
            model.network,
            NORMALISATION,
            layout,
            compaction=Compaction(3, spacing=1),
            compensation=compensation,
            kept_bytes=kept,
        )
        shards = Batches.of(*DATA, 5).shards(2)
        places = [counter.place(shard) for shard in shards]
        called.clear()
        counts = [
            counter.count(place, masks, shard).tolist()
            for masks in generations(layout, 5, 3)
            for shard, place in enumerate(places)
        ]
        found[kept] = counts, called.count(programs.run)
    (expected, most), *others = found.values()
    assert all(counts == expected for counts, _ in others)
    assert most >= others[0][1] > others[1][1] > 0


def test_an_offspring_begins_behind_what_its_parent_has_computed(quick_compilation, monkeypatch):
    model, layout = problem("vgg")
    called = runs_of(monkeypatch)
    counter = MaskedCounter(model.network, NORMALISATION, layout, kept_bytes=1 << 20)
    placed = counter.place(Batches.of(*DATA, 25))
    parent = layout.full()
    counter.count(placed, parent[None], 0)
    stages = len(counter.stages.chain) - 1
    assert called.count(programs.run) == stages * len(placed)
    for changed, behind in ((-1, 0), (1, 1)):
        offspring = parent.copy()
        offspring[layout.offsets[changed] + 1] = False
        expected = counter.count(placed, offspring[None]).tolist()
        called.clear()
        assert counter.count(placed, offspring[None], 0).tolist() == expected
        assert called.count(programs.run) == behind * len(placed)


def test_stages_that_no_mask_changes_have_statistics_of_their_own():
    """The third layer reads channels that no mask removes, but its statistics follow those of the second."""
    model, whole = problem("vgg, three layers")
    part = type(whole)(whole.names[:1], whole.sizes[:1])
    compensation = compensation_of(model, whole, "recalibrate")
    narrow = random_masks(part, 3, 1)
    wide = np.ones((3, whole.n_filters), bool)
    wide[:, : part.n_filters] = narrow
    network = model.network, NORMALISATION
    of_part, of_whole = (MaskedCounter(*network, each, compensation=compensation) for each in (part, whole))
    placed = of_part.place(Batches.of(*DATA, 25))
    assert of_part.count(placed, narrow).tolist() == of_whole.count(placed, wide).tolist()


class Carry:
    def __init__(self, nbytes):
        self.nbytes = nbytes


@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 40)), max_size=8), max_size=30))
def test_a_shelf_never_holds_more_than_its_limit(calls):
    shelf = Shelf(1)
    shelf.limit_to(100)
    sizes = {}
    for call in calls:
        shelf.begin()
        for number, size in call:
            key = bytes([number])
            kept = shelf.ask(key)
            if kept is None:
                shelf.offer(key, [Carry(size)])
                sizes[key] = size
            else:
                assert [carry.nbytes for carry in kept] == [sizes[key]]
            assert sum(entry.bytes for entry in shelf._entries.values()) == shelf._bytes <= 100


def test_what_is_asked_for_again_stays_and_the_rest_gives_way():
    shelf = Shelf(1)
    shelf.limit_to(100)
    parents = [bytes([number]) for number in range(4)]
    for generation in range(20):
        shelf.begin()
        for key in parents:
            if shelf.ask(key) is None:
                assert generation == 0
                shelf.offer(key, [Carry(20)])
        for number in range(10):
            shelf.offer(bytes([100, generation, number]), [Carry(20)])
    assert all(shelf.ask(key) is not None for key in parents)
    for _ in range(3):
        shelf.begin()
    for number in range(5):
        shelf.offer(bytes([200, number]), [Carry(20)])
    assert all(shelf.ask(bytes([200, number])) is not None for number in range(5))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 60)), max_size=60))
def test_all_shelves_together_never_hold_more_than_the_limit(offers):
    """Shelves come one after the other, as a first call reaches the shards."""
    kept, shelves = KeptCarries(120), {}
    for number, (shard, part, size) in enumerate(offers):
        shelf = shelves[shard, part] = kept.shelf(shard, part, 10 * (shard + 1))
        shelf.begin()
        shelf.offer(number.to_bytes(2), [Carry(size)])
        assert sum(each._bytes for each in shelves.values()) <= 120


def test_shelves_divide_the_limit_by_their_images():
    kept = KeptCarries(120)
    first = kept.shelf(0, 0, 10)
    first.begin()
    for number in range(4):
        first.offer(bytes([number]), [Carry(30)])
    assert first._bytes == 120
    second = kept.shelf(0, 1, 30)
    second.begin()
    for number in range(4):
        second.offer(bytes([number]), [Carry(30)])
    assert (first._bytes, second._bytes) == (30, 90)
    assert kept.shelf(0, 0, 10) is first
