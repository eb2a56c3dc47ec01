"""How far a search goes beyond its threshold, which candidates are judged, and what the interval covers."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from experiments.runs.finish.choosing import Candidates, between, first_that_holds, halving
from experiments.runs.finish.reach import MOST, first_reach, learned_reach, lesson_is_due
from experiments.runs.finish.result import Check

drops = st.floats(-5, 100)


@given(
    st.lists(st.floats(-1, 20), max_size=40),
    st.floats(0, 1),
    st.floats(0.1, 5),
    st.floats(0, 30),
    st.integers(0, 9),
)
def test_the_largest_candidate_that_holds_is_found(before, share, threshold, reach, failing):
    """Drops after a refit that fall as drops before it do; some candidates have none."""
    before = sorted(before, reverse=True)
    after = [float("inf") if place < failing else share * drop for place, drop in enumerate(before)]
    asked = []

    def judge(place):
        asked.append(place)
        return after[place]

    found = first_that_holds(before, threshold, reach, judge, most=100)
    assert found == next((place for place, drop in enumerate(after) if drop < threshold), None)
    assert found is None or found in asked
    assert len(set(asked)) == len(asked) <= 3 * len(before).bit_length() + 1
    few = first_that_holds(before, threshold, reach, judge, most=2)
    assert few is None or after[few] < threshold


@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_masks_between_two_lead_from_one_to_what_both_keep(seed, filters):
    rng = np.random.default_rng(seed)
    masks = rng.random((5, filters)) < rng.random((5, 1))
    held = masks[4]
    found = between(Candidates(masks, np.zeros(5)), 1, held)
    assert len(found) <= 64
    if not (held & ~masks[1]).any():
        assert len(found) == 0
        return
    assert (found[-1] == (held | masks[1])).all()
    for before, after in pairwise([masks[1], *found]):
        assert (after >= before).all()
        assert after.sum() > before.sum()
        back, waiting = after & ~before, found[-1] & ~after
        kept_by = masks.sum(axis=0)
        assert not waiting.any() or kept_by[back].min() >= kept_by[waiting].max()


@given(st.lists(st.floats(0, 100), max_size=64), st.integers(0, 70), st.integers(1, 7))
def test_halving_ends_at_the_first_that_holds(goals, border, most):
    goals = sorted(goals, reverse=True)
    asked = []

    def judge(place):
        asked.append(place)
        return place >= border

    found = halving(goals, judge, most)
    assert len(asked) == len(set(asked)) <= most
    assert found == min((place for place in asked if place >= border), default=None)
    assert halving(goals, judge, 64) == (border if border < len(goals) else None)


@given(st.floats(0, 100), drops, drops)
def test_the_reach_is_bounded_and_grows_with_what_a_refit_gives_back(threshold, before, after):
    reach = learned_reach(threshold, before, after)
    assert threshold <= reach <= 100
    assert reach <= max(MOST * threshold, threshold)
    assert learned_reach(threshold, before, after + 1) <= reach
    assert learned_reach(threshold, before, float("inf")) == threshold
    assert threshold <= first_reach(threshold) <= 100


def test_lessons_become_rare():
    assert [generation for generation in range(100) if lesson_is_due(generation)] == [0, 4, 8, 16, 32, 64]


def test_the_interval_covers_the_drop_on_all_images_of_the_kind():
    """Samples of paired answers whose true drop is known; the interval is meant for 95 in 100."""
    rng = np.random.default_rng(0)
    both, lost, gained, neither = shares = (0.80, 0.07, 0.05, 0.08)
    true = 100 * (lost - gained) / (both + lost)
    covered = 0
    for counts in rng.multinomial(1_000, shares, size=1_000).tolist():
        check = Check(1_000, counts[0] + counts[1], counts[0] + counts[2], counts[1], counts[2], True)
        low, high = check.interval
        assert low < check.accuracy_drop < high
        covered += low <= true <= high
    assert 930 <= covered <= 975
    assert neither == shares[3]
