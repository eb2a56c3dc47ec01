import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.layout import Layout
from engine.search.loop import Search
from engine.search.operators.rounding import round_widths
from engine.search.settings import SearchSettings
from tests.engine.support.synthetic import LAYOUT as SMALL
from tests.engine.support.synthetic import RemovedBits, WeightedBits

LAYOUT = Layout(("a", "b", "c", "d"), (3, 1, 12, 16))


def drawn(seed, count, share):
    masks = np.random.default_rng(seed).random((count, LAYOUT.n_filters)) < share
    masks[:, LAYOUT.offsets] = True
    return masks


@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.floats(0, 1), st.integers(1, 20))
def test_widths_are_multiples_or_whole_and_change_as_little_as_need_be(seed, count, share, multiple):
    masks = drawn(seed, count, share)
    found = round_widths(np.random.default_rng(seed), masks, LAYOUT, multiple)
    assert (found.dtype, found.shape) == (masks.dtype, masks.shape)
    for name, size in zip(LAYOUT.names, LAYOUT.sizes, strict=True):
        before, after = LAYOUT.split(masks)[name], LAYOUT.split(found)[name]
        for one, other in zip(before, after, strict=True):
            kept = int(other.sum())
            assert kept == size or (kept > 0 and kept % multiple == 0)
            assert abs(kept - int(one.sum())) < multiple
            # Only as many filters as the width changes by, in one direction.
            assert int((one != other).sum()) == abs(kept - int(one.sum()))
    np.testing.assert_array_equal(round_widths(np.random.default_rng(seed), found, LAYOUT, multiple), found)


def test_the_width_is_right_on_average_and_every_filter_has_its_chance():
    wide, times = Layout(("a", "b"), (64, 20)), 40_000
    mask = wide.full()
    mask[[5, 64, 65]] = False
    found = round_widths(np.random.default_rng(1), np.tile(mask, (times, 1)), wide, 8)
    kept = wide.kept(found)
    # 63 of 64: 64 or 56. 18 of 20: 16 or all.
    assert set(np.unique(kept[:, 0])) == {56, 64}
    assert set(np.unique(kept[:, 1])) == {16, 20}
    np.testing.assert_allclose(kept.mean(axis=0), [63, 18], atol=0.05)
    # Where 7 more go, each of the 63 goes as often.
    lost = 1 - found[kept[:, 0] == 56, :64].mean(axis=0)
    np.testing.assert_allclose(np.delete(lost, 5), 7 / 63, atol=0.03)


def test_a_width_below_the_least_becomes_the_least():
    mask = np.zeros((50, LAYOUT.n_filters), bool)
    mask[:, LAYOUT.offsets] = True
    found = round_widths(np.random.default_rng(0), mask, LAYOUT, 8)
    assert (LAYOUT.kept(found) == [3, 1, 8, 8]).all()


def test_1_changes_nothing_and_draws_nothing():
    rng = np.random.default_rng(0)
    before, masks = rng.bit_generator.state, drawn(3, 5, 0.5)
    assert round_widths(rng, masks, LAYOUT, 1) is masks
    assert rng.bit_generator.state == before


def test_every_mask_of_a_search_is_rounded():
    evaluator, seen = WeightedBits(), []
    evaluate = evaluator.evaluate

    def noting(masks, target=None):
        seen.append(masks)
        return evaluate(masks, target)

    evaluator.evaluate = noting
    settings = SearchSettings(
        population=8, parents=4, mutation=0.1, population_cap=12, initial_removal=0.5, round_to=4, islands=2
    )
    search = Search(settings, SMALL, evaluator, RemovedBits())
    state = search.start()
    for _ in range(5):
        state = search.step(state)
    kept = SMALL.kept(np.concatenate(seen))
    assert ((kept % 4 == 0) | (kept == SMALL.sizes)).all()
    assert len(np.unique(kept, axis=0)) > 3
    assert not state.best.individual.mask.all()
