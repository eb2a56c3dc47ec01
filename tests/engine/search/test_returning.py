"""Masks of the archive that return or are the best, with the ancestry of their nearest member."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import FAILED, STOPPED
from engine.search.ancestry import Brood
from engine.search.archive import Archive
from engine.search.returning import best_feasible, returning
from tests.engine.support.synthetic import LAYOUT, RemovedBits

MUTATED = 7


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 5))
def test_the_best_masks_return(seed, most, size):
    rng = np.random.default_rng(seed)
    archive = Archive(LAYOUT)
    masks = archive.missing(rng.random((30, LAYOUT.n_filters)) < rng.random((30, 1)))
    counts = rng.integers(1, 20, len(masks))
    counts[rng.random(len(masks)) < 0.3] = rng.choice([STOPPED, FAILED])
    archive.add(masks, counts)
    chosen = rng.permutation(len(masks))[:size]
    members = Brood(masks[chosen], rng.integers(0, 3, (len(chosen), LAYOUT.n_filters), dtype=np.uint8))

    objective = RemovedBits()
    returned, correct = returning(archive, members, objective, 20, most, MUTATED)

    finished = np.where(counts < 0, 0, counts)
    scores = objective.appraise(masks, finished, 20).score
    others = [row for row in range(len(masks)) if counts[row] >= 0 and row not in chosen]
    others.sort(key=lambda row: -scores[row])
    np.testing.assert_array_equal(returned.masks, masks[others[:most]])
    np.testing.assert_array_equal(correct, counts[others[:most]])
    assert_descended(returned, members)

    found, correct = best_feasible(archive, members, objective, 20, MUTATED)
    feasible = objective.appraise(masks, finished, 20).feasible & (counts >= 0)
    rows = sorted(np.flatnonzero(feasible), key=lambda row: (-scores[row], -counts[row]))[:1]
    np.testing.assert_array_equal(found.masks, masks[rows])
    np.testing.assert_array_equal(correct, counts[rows])
    assert_descended(found, members)


def assert_descended(found, members):
    for mask, origins in zip(found.masks, found.origins, strict=True):
        differing = members.masks != mask
        nearest = np.argmin(differing.sum(axis=1))
        expected = np.where(differing[nearest], MUTATED, members.origins[nearest])
        np.testing.assert_array_equal(origins, expected)
