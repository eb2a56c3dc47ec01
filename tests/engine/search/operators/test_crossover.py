"""Crossovers: what each gives, for random masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.search.ancestry import Brood
from engine.search.operators.crossover import CROSSOVERS, crossover, single_point_crossover
from tests.engine.support.synthetic import LAYOUT, random_masks


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_crossover_returns_two_recombinations_and_two_copies(seed, filters):
    rng = np.random.default_rng(seed)
    # All ones against all zeros shows where the cut lies.
    parents = np.stack([np.ones(filters, bool), np.zeros(filters, bool)])
    first, second, copy_a, copy_b = single_point_crossover(rng, parents, np.array([[0, 1]]))
    cut = int(first.sum())
    assert 1 <= cut < filters
    assert first[:cut].all()
    np.testing.assert_array_equal(second, ~first)
    np.testing.assert_array_equal(copy_a, parents[0])
    np.testing.assert_array_equal(copy_b, parents[1])


@given(st.sampled_from(sorted(CROSSOVERS)), st.integers(0, 2**32 - 1))
def test_crossovers_give_two_complements_and_two_copies(name, seed):
    masks = random_masks(seed, 4)
    pairs = np.array([[0, 1], [2, 3]])
    children = crossover(name, LAYOUT)(np.random.default_rng(seed), masks, pairs)
    for (first, second), family in zip(pairs, children.reshape(2, 4, -1), strict=True):
        assert np.array_equal(family[2:], masks[[first, second]])
        assert np.array_equal(family[0] ^ family[1], masks[first] ^ masks[second])
        if name == "point":
            continue
        for part, *parents in zip(*(LAYOUT.split(row).values() for row in (family[0], *family[2:])), strict=True):
            assert any(np.array_equal(part, parent) for parent in parents)


@pytest.mark.parametrize("name", sorted(CROSSOVERS))
def test_crossovers_move_columns_whatever_they_hold(name):
    brood = Brood(random_masks(0, 4), np.arange(4, dtype=np.uint8).repeat(20).reshape(4, 20))
    mate, pairs = crossover(name, LAYOUT), np.array([[0, 1], [2, 3]])
    crossed = brood.crossed(lambda rows: mate(np.random.default_rng(1), rows, pairs))
    plain = mate(np.random.default_rng(1), brood.masks, pairs)
    assert np.array_equal(crossed.masks, plain)
    assert np.array_equal(np.take_along_axis(brood.masks, crossed.origins, axis=0), plain)
