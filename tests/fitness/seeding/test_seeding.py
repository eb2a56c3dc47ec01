"""Founders: how places are divided, what each removes, and nothing but the seed decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import Appraisal
from engine.errors import OptionError
from engine.layout import Layout
from engine.search.operators.population import near_original
from engine.search.settings import SearchSettings
from fitness.seeding.founders import BELOW, LARGEST_REMOVAL, Ladders, SeededFounders
from fitness.seeding.ranking import removal_order

LAYOUT = Layout(("one", "two"), (10, 40))
RISING = np.arange(50, dtype=float)


class Kept:
    """Evaluator: as many images right as filters are kept."""

    total = 50

    def __init__(self):
        self.seen = []

    def evaluate(self, masks, target=None):
        self.seen += [mask.tobytes() for mask in masks]
        return masks.sum(axis=1)


class AtLeast:
    """Objective: feasible with 20 images or more."""

    monotone = True

    def appraise(self, masks, correct, original_correct):
        return Appraisal(-correct.astype(float), correct >= 20, {})


def founders_of(importances, settings, ladders=None):
    more = () if ladders is None else (ladders,)
    return SeededFounders(importances, LAYOUT, settings, AtLeast(), *more)


def drawn(founders, seed=0, evaluator=None):
    return founders(np.random.default_rng(seed), evaluator or Kept())


@given(st.integers(1, 3), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_half_are_the_papers_and_the_rest_stand_on_ladders(methods, more, seed):
    settings = SearchSettings(population=4 * methods + more, parents=2, initial_removal=0.1)
    importances = {f"m{number}": np.roll(RISING, number) for number in range(methods)}
    founders = founders_of(importances, settings)
    masks, numbers = drawn(founders, seed)
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
    masks, numbers = drawn(founders_of({"m": RISING}, settings))
    removed = (~masks[numbers == 1]).sum(axis=1)
    for ladder in (removed[:5], removed[5:]):
        bounds = LARGEST_REMOVAL * 50 * (np.arange(6) / 5) ** 2
        assert (ladder >= np.floor(bounds[:-1])).all()
        assert (ladder <= np.ceil(bounds[1:])).all()


def test_equal_generators_give_equal_founders_and_others_other_rungs():
    founders = founders_of({"m": RISING}, SearchSettings(population=20, parents=2))
    one, same, other = (drawn(founders, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one[10:], other[10:])


def test_a_population_without_a_place_for_each_method_is_refused():
    importances = {"m": RISING, "n": RISING}
    with pytest.raises(OptionError, match=r"`population` 7 .* raise it to 8 or name fewer"):
        founders_of(importances, SearchSettings(population=7, parents=2))
    with pytest.raises(OptionError, match=r"needs 2 globally \(`floor`\) and one by layer; raise it to 12"):
        founders_of(importances, SearchSettings(population=11, parents=2), Ladders((0.0, 0.1)))


@pytest.mark.parametrize(("floors", "sentence"), [((0.1, 0.1), "names 0.1 twice"), ((1.5,), "from 0 to 1")])
def test_floors_that_cannot_be_are_refused(floors, sentence):
    with pytest.raises(OptionError, match=f"`floor` .*{sentence}"):
        Ladders(floors)


def test_seeds_of_a_floor_keep_that_share_of_every_layer():
    settings = SearchSettings(population=60, parents=2)
    masks, _ = drawn(founders_of({"m": RISING}, settings, Ladders((0.2, 0.5), largest=0.98)))
    kept = LAYOUT.kept(masks[30:])
    assert (kept[:10] >= [2, 8]).all()
    assert (kept[10:20] >= [5, 20]).all()
    assert (kept[20:] >= [2, 8]).all()
    # The importance rises through the layers, so without a floor the first would be all but gone.
    assert kept[:10, 0].min() == 2
    further, _ = drawn(founders_of({"m": RISING}, settings, Ladders(largest=0.98)))
    assert (~further).sum(axis=1).max() > LARGEST_REMOVAL * 50


def test_climbing_seeds_stand_at_the_border_and_below_it():
    settings = SearchSettings(population=15, parents=2)
    founders = founders_of({"m": RISING, "n": -RISING}, settings, Ladders((0.0, 0.2), climbs=True))
    evaluator = Kept()
    masks, numbers = drawn(founders, 3, evaluator)
    removed = (~masks).sum(axis=1)
    assert len(masks) == 15
    assert set(numbers) == {1, 2}
    # 30 of 50 may go; the search for the border found it to the filter, as a fiftieth of 50 is one.
    assert removed.max() == 30
    assert (removed == 30).sum() >= 6
    assert removed.min() >= 30 * (1 - BELOW) - 1
    assert len(set(evaluator.seen)) > 15
