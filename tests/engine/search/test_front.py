"""Fronts against plain loops over all pairs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.contracts import FAILED, STOPPED
from engine.errors import EvaluationError
from engine.run.codec import decode, encode
from engine.run.journal import journal_row
from engine.search.archive import Archive
from engine.search.front import Front, front_of, non_dominated
from tests.engine.support.synthetic import LAYOUT, RemovedBits, RemovedParts, WeightedBits, make_search


def surpasses(one, other):
    return all(a >= b for a, b in zip(one, other, strict=True)) and any(
        a > b for a, b in zip(one, other, strict=True)
    )


def by_pairs(points):
    """Rows of the non-dominated points; of equal points the first."""
    return [
        place
        for place, point in enumerate(points)
        if not any(surpasses(other, point) for other in points) and point not in points[:place]
    ]


POINTS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(0, 30), st.integers(2, 3)),
    elements=st.integers(-3, 6).map(float),
)


@given(POINTS)
def test_no_point_dominates_a_kept_point(points):
    assert np.flatnonzero(non_dominated(points)).tolist() == by_pairs(points.tolist())


def archive_of(counts, seed):
    masks = np.unique(np.random.default_rng(seed).random((len(counts), LAYOUT.n_filters)) < 0.7, axis=0)
    archive = Archive(LAYOUT)
    archive.add(masks, np.array(counts[: len(masks)], np.int64))
    return archive, masks


@given(st.lists(st.integers(700, 905) | st.sampled_from([FAILED, STOPPED]), max_size=40), st.integers(0, 99))
def test_the_front_of_an_archive_is_that_of_plain_loops_over_its_masks(counts, seed):
    archive, masks = archive_of(counts, seed)
    front = front_of(archive, LAYOUT, RemovedParts(limit=15), 900)
    known = [
        (row, (count, (~mask[:5]).sum(), (~mask[5:]).sum()))
        for row, (mask, count) in enumerate(zip(masks, counts, strict=False))
        if count >= 0 and 100 * (900 - count) / 900 <= 15
    ]
    kept = by_pairs([point for _, point in known])
    expected = sorted((known[place] for place in kept), key=lambda entry: [-v for v in entry[1]])
    assert front.rows.tolist() == [row for row, _ in expected]
    assert front.figures["correct"].tolist() == [count for _, (count, *_) in expected]
    np.testing.assert_array_equal(front.masks(archive), masks[front.rows])


def covered(points, resolution):
    """Hypervolume by counting the cells of a grid over the unit cube that a point dominates."""
    centres = (np.arange(resolution) + 0.5) / resolution
    cells = np.array(list(itertools.product(centres, repeat=points.shape[1])))
    return (points[:, None] > cells).all(axis=2).any(axis=0).mean() if len(points) else 0.0


@given(arrays.arrays(np.float64, (6, 3), elements=st.integers(-2, 8).map(lambda i: i / 8)))
def test_the_hypervolume_is_the_share_of_the_box_that_the_front_dominates(points):
    points = points[non_dominated(points)]
    front = Front(np.arange(len(points)), points, {})
    assert front.hypervolume() == pytest.approx(covered(points, 8))


def front_search(**changes):
    return make_search(WeightedBits(changes.pop("poison", False)), RemovedParts(), front=True, **changes)


@pytest.mark.parametrize("chosen", [{"seed": 3}, {"seed": 5, "poison": True, "islands": 2, "migrate_every": 2}])
def test_a_search_has_the_front_of_all_that_it_evaluated_at_every_generation(chosen):
    search = front_search(mutation=0.1, initial_removal=0.5, **chosen)
    state = search.start()
    for _ in range(6):
        state = search.step(state)
        anew = front_of(state.archive, LAYOUT, search.objective, state.original_correct)
        for one, other in ((state.front.rows, anew.rows), (state.front.values, anew.values)):
            np.testing.assert_array_equal(one, other)
        assert list(state.front.figures) == list(anew.figures)
        told = journal_row(state, 0)["front"]
        assert told == {"size": len(anew), "hypervolume": anew.hypervolume()}
        assert (state.failures > 0) == chosen.get("poison", False)
    assert len(anew) > 4


def test_a_search_for_one_best_mask_has_no_front():
    search = make_search()
    state = search.start()
    assert state.front is None
    assert "front" not in journal_row(state, 0)
    with pytest.raises(EvaluationError, match="aims"):
        front_of(state.archive, LAYOUT, RemovedBits(), state.original_correct)


def test_a_front_of_another_archive_is_refused():
    state = front_search().start()
    object.__setattr__(state.front, "rows", state.front.rows + len(state.archive))
    with pytest.raises(ValueError, match="the archive lacks"):
        decode(encode(state, LAYOUT, "id"))
