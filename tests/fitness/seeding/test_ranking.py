"""Orders of removal against plain loops; ladders against every mask along an order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import FAILED, Appraisal
from engine.errors import EvaluationError, OptionError
from engine.layout import Layout
from fitness.seeding.ladder import FINER_RUNGS, RUNGS, climb
from fitness.seeding.ranking import SCOPES, masks_along, masks_at, removal_count, removal_order

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=4)


@st.composite
def rankings(draw):
    """A layout, importances with many ties, a scope and a floor."""
    sizes = draw(SIZES)
    layout = Layout(tuple(f"layer{number}" for number in range(len(sizes))), tuple(sizes))
    numbers = st.floats(-3, 3) | st.sampled_from([0.0, 1.0])
    importance = draw(st.lists(numbers, min_size=layout.n_filters, max_size=layout.n_filters))
    floor = draw(st.sampled_from([0.0, 0.1, 0.25, 1.0]) | st.floats(0, 1))
    return layout, np.array(importance), draw(st.sampled_from(SCOPES)), floor


@given(rankings())
def test_masks_remove_exactly_as_many_as_asked_are_nested_and_keep_the_floor(ranking):
    layout, importance, scope, floor = ranking
    order = removal_order(importance, layout, scope=scope, floor=floor)
    masks = masks_along(order, np.arange(len(order) + 3), layout)
    removed = (~masks).sum(axis=1)
    assert removed.tolist() == [*range(len(order) + 1), len(order), len(order)]
    assert not (masks[1:] & ~masks[:-1]).any()
    staying = [max(1, int(np.ceil(round(floor * size, 6)))) for size in layout.sizes]
    assert layout.kept(masks[-1]).tolist() == staying


@given(rankings(), st.lists(st.integers(1, 99), min_size=1, max_size=4))
def test_shares_of_every_layer_leave_least_important_first(ranking, percents):
    layout, importance, _, _ = ranking
    masks = masks_at([percent / 100 for percent in percents], importance, layout)
    for mask, percent in zip(masks, percents, strict=True):
        for keep, numbers in zip(layout.split(mask).values(), layout.split(importance).values(), strict=True):
            assert (~keep).sum() == min(percent * len(keep) // 100, len(keep) - 1)
            assert max(numbers[~keep], default=-np.inf) <= numbers[keep].min()


@given(rankings(), st.integers(1, 9), st.floats(0, 1))
def test_widths_are_rounded_up_by_keeping_what_leaves_last(ranking, multiple, share):
    layout, importance, scope, floor = ranking
    order = removal_order(importance, layout, scope=scope, floor=floor)
    count = round(share * len(order))
    expected = layout.full()
    expected[order[:count]] = False
    layer = np.repeat(np.arange(len(layout.sizes)), layout.sizes)
    for filter_ in reversed(order[:count]):
        kept = layout.kept(expected)[layer[filter_]]
        if kept % multiple and kept < layout.sizes[layer[filter_]]:
            expected[filter_] = True
    [mask] = masks_along(order, np.array([count]), layout, multiple)
    assert mask.tolist() == expected.tolist()
    for kept, size in zip(layout.kept(mask), layout.sizes, strict=True):
        assert kept == size or kept % multiple == 0


@given(rankings())
def test_the_order_is_that_of_a_plain_loop(ranking):
    layout, importance, scope, floor = ranking
    order = removal_order(importance, layout, scope=scope, floor=floor)
    layer = np.repeat(np.arange(len(layout.sizes)), layout.sizes)
    mask = layout.full()
    for filter_ in order:
        alive = [f for f in np.flatnonzero(mask) if f in order]
        if scope == "global":
            expected = min(alive, key=lambda f: (importance[f], f))
        else:
            # The layer that would have lost the smallest share next, and its least important filter.
            size = np.array(layout.sizes)
            shares = (size - layout.kept(mask) + 1) / size
            open_layers = {layer[f] for f in alive}
            share = min(shares[number] for number in open_layers)
            candidates = [
                min((f for f in alive if layer[f] == number), key=lambda f: (importance[f], f))
                for number in open_layers
                if shares[number] == share
            ]
            expected = min(candidates)
        assert filter_ == expected
        mask[filter_] = False


@given(rankings(), st.floats(0, 1))
def test_by_layer_all_lose_the_same_share_to_within_a_filter(ranking, ratio):
    layout, importance, _, _ = ranking
    order = removal_order(importance, layout, scope="layer")
    count = min(removal_count(ratio, layout), len(order))
    lost = np.array(layout.sizes) - layout.kept(masks_along(order, np.array([count]), layout)[0])
    shares = lost / np.array(layout.sizes)
    for one, size in zip(lost, layout.sizes, strict=True):
        assert one == size - 1 or (one + 1) / size >= shares.max() - 1e-12


@pytest.mark.parametrize(
    ("options", "part"),
    [({"scope": "odd"}, "`scope`"), ({"floor": 1.5}, "`floor`"), ({"floor": np.nan}, "`floor`")],
)
def test_bad_options_are_named(options, part):
    with pytest.raises(OptionError, match=part):
        removal_order(np.zeros(3), Layout(("a",), (3,)), **options)


class ByCount:
    """Evaluator: what a mask gets right depends on how many filters it lacks; counts its calls."""

    total = 1000

    def __init__(self, correct):
        self.correct = np.array(correct)
        self.calls = []

    def evaluate(self, masks, target=None):
        removed = (~masks).sum(axis=1)
        self.calls.append(removed.tolist())
        return self.correct[removed]


class FewerFilters:
    """Objective: feasible from 800 right."""

    monotone = True

    def appraise(self, masks, correct, original_correct):
        removed = (~masks).sum(axis=1).astype(float)
        feasible = (correct >= 800) | masks.all(axis=1)
        return Appraisal(np.where(correct == FAILED, -np.inf, removed), feasible, {"removed": removed})


@given(
    st.lists(st.sampled_from([790, 810]) | st.integers(-1, 1000), min_size=1, max_size=400), st.integers(1, 1000)
)
def test_a_ladder_ends_where_one_filter_more_is_too_many(after, original):
    correct = [original, *after]
    layout = Layout(("a", "b"), (1, len(correct)))
    order = removal_order(np.arange(layout.n_filters), layout)
    assert len(order) == len(after)
    evaluator = ByCount(correct)
    ladder = climb(order, layout, evaluator, FewerFilters())
    tried = [count for call in evaluator.calls for count in call]
    assert sorted(tried) == ladder.removed.tolist() == sorted(set(tried))
    assert ladder.correct.tolist() == [correct[count] for count in ladder.removed]
    assert np.array_equal((~ladder.masks).sum(axis=1), ladder.removed)
    best = ladder.removed[ladder.best]
    assert best == 0 or correct[best] >= 800
    assert all(correct[count] < 800 for count in tried if count > best)
    assert best == len(after) or best + 1 in tried
    assert len(evaluator.calls) <= 4
    assert len(tried) <= RUNGS + 1 + 3 * FINER_RUNGS


def test_where_counts_fall_a_ladder_finds_the_largest_feasible_removal():
    layout = Layout(("a",), (4000,))
    correct = np.linspace(1000, 100, 4000).astype(int)
    ladder = climb(removal_order(np.zeros(4000), layout), layout, ByCount(correct), FewerFilters())
    assert ladder.removed[ladder.best] == np.flatnonzero(correct >= 800)[-1]


@pytest.mark.parametrize("original", [0, FAILED])
def test_a_network_that_gets_nothing_right_has_no_ladder(original):
    layout = Layout(("a",), (3,))
    with pytest.raises(EvaluationError):
        climb(np.arange(2), layout, ByCount([original, 5, 5]), FewerFilters())
