import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.layout import Layout
from engine.search.operators import population

LAYOUT = Layout(("a", "b", "c"), (3, 1, 12))


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.floats(0, 1))
def test_initial_population_holds_the_original_and_no_empty_layer(seed, count, removal):
    masks = population.near_original(np.random.default_rng(seed), LAYOUT, count, removal)
    assert masks.shape == (count, 16)
    assert masks[0].all()
    assert LAYOUT.kept(masks).min() > 0


def test_initial_population_lies_on_the_ladder():
    wide = Layout(("a",), (20_000,))
    masks = population.near_original(np.random.default_rng(0), wide, 5, 0.4)
    np.testing.assert_allclose(1 - masks.mean(axis=1), [0, 0.1, 0.2, 0.3, 0.4], atol=0.02)


def test_pairings_of_the_thesis():
    assert population.adjacent_pairs(10).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert population.adjacent_pairs(3).tolist() == [[0, 1]]
    pairs = population.all_pairs(10)
    assert len(pairs) == 45 == len({tuple(pair) for pair in pairs.tolist()})
    assert (pairs[:, 0] < pairs[:, 1]).all()


@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
def test_repair_touches_only_empty_layers_and_gives_back_one_filter(seed, count):
    rng = np.random.default_rng(seed)
    masks = rng.random((count, 16)) < 0.15
    before = masks.copy()
    repaired = population.revive_empty_layers(rng, LAYOUT, masks)
    np.testing.assert_array_equal(masks, before)
    kept_before, kept_after = LAYOUT.kept(masks), LAYOUT.kept(repaired)
    np.testing.assert_array_equal(kept_after, np.maximum(kept_before, 1))
    assert (repaired >= masks).all()
