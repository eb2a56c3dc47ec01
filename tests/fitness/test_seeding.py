"""Founders: how places are divided, what each removes, and nothing but the seed decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import SearchSettings
from engine.errors import OptionError
from engine.layout import Layout
from engine.operators import near_original
from fitness.ranking import removal_order
from fitness.seeding import LARGEST_REMOVAL, SeededFounders

LAYOUT = Layout(("one", "two"), (10, 40))
RISING = np.arange(50, dtype=float)


@given(st.integers(1, 3), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_half_are_the_papers_and_the_rest_stand_on_ladders(methods, more, seed):
    settings = SearchSettings(population=4 * methods + more, parents=2, initial_removal=0.1)
    importances = {f"m{number}": np.roll(RISING, number) for number in range(methods)}
    founders = SeededFounders(importances, LAYOUT, settings)
    masks, numbers = founders(np.random.default_rng(seed))
    assert founders.origins == ("near-original", *importances)
    assert len(masks) == len(numbers) == settings.population
    assert LAYOUT.kept(masks).min() > 0
    seeds = settings.population // 2
    papers = near_original(np.random.default_rng(seed), LAYOUT, settings.population - seeds, 0.1)
    assert np.array_equal(masks[: len(papers)], papers)
    assert masks[0].all()
    shares = np.bincount(numbers)
    assert shares[0] == len(papers)
    assert shares[1:].max() - shares[1:].min() <= 2
    for mask, number in zip(masks[len(papers) :], numbers[len(papers) :], strict=True):
        importance = importances[f"m{number - 1}"]
        orders = [removal_order(importance, LAYOUT, scope=scope) for scope in ("global", "layer")]
        removed = np.flatnonzero(~mask)
        assert any(set(removed) == set(order[: len(removed)]) for order in orders)
        assert len(removed) <= LARGEST_REMOVAL * LAYOUT.n_filters + 0.5


def test_a_ladder_climbs_by_steps_that_grow():
    settings = SearchSettings(population=20, parents=2)
    masks, numbers = SeededFounders({"m": RISING}, LAYOUT, settings)(np.random.default_rng(0))
    removed = (~masks[numbers == 1]).sum(axis=1)
    for ladder in (removed[:5], removed[5:]):
        bounds = LARGEST_REMOVAL * 50 * (np.arange(6) / 5) ** 2
        assert (ladder >= np.floor(bounds[:-1])).all()
        assert (ladder <= np.ceil(bounds[1:])).all()


def test_equal_generators_give_equal_founders_and_others_other_rungs():
    founders = SeededFounders({"m": RISING}, LAYOUT, SearchSettings(population=20, parents=2))
    one, same, other = (founders(np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one[10:], other[10:])


def test_a_population_without_a_place_for_each_method_is_refused():
    importances = {"m": RISING, "n": RISING}
    with pytest.raises(OptionError, match=r"--population 7 .* raise it to 8 or name fewer"):
        SeededFounders(importances, LAYOUT, SearchSettings(population=7, parents=2))
