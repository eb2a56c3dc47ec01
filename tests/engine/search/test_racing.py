import itertools
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.contracts import Target
from engine.search.stopping import hopeless, risks

SMALL = st.integers(1, 9).flatmap(
    lambda total: st.tuples(st.just(total), st.integers(0, total), st.integers(0, total - 1))
)


def is_hopeless(correct, seen, total, needed, risk, tests=1):
    return hopeless(np.array([correct]), seen, total, Target(np.array([needed]), np.array([risk])), tests)[0]


def orders(total, correct):
    """All orders in which ``correct`` of ``total`` images can come."""
    for places in itertools.combinations(range(total), correct):
        yield np.isin(np.arange(total), places)


@given(SMALL, st.integers(0, 10))
def test_without_risk_a_mask_is_hopeless_if_no_order_of_the_rest_saves_it(sizes, needed):
    total, correct, seen = sizes
    so_far = min(correct, seen)
    saved = any(so_far + sum(rest) >= needed for rest in itertools.product((False, True), repeat=total - seen))
    assert is_hopeless(so_far, seen, total, needed, 0.0) == (not saved)


@given(SMALL, st.integers(0, 9), st.floats(1e-6, 0.999), st.integers(1, 5))
def test_with_risk_the_tail_is_the_share_of_orders(sizes, so_far, risk, tests):
    total, needed, seen = sizes
    so_far = min(so_far, seen)
    few = [order[:seen].sum() <= so_far for order in orders(total, needed)]
    share = Fraction(int(sum(few)), len(few))
    # Where the two meet, the last bit of the tail decides.
    assume(abs(share - Fraction(risk) / tests) > 1e-12)
    certain = so_far + total - seen < needed
    assert is_hopeless(so_far, seen, total, needed, risk, tests) == (certain or share <= Fraction(risk) / tests)


@pytest.mark.parametrize("risk", [0.02, 0.1, 0.3])
@pytest.mark.parametrize(("total", "needed"), [(12, 8), (14, 10), (12, 3)])
def test_over_all_looks_a_mask_that_just_makes_it_is_stopped_as_rarely_as_promised(total, needed, risk):
    looks = range(1, total, 2)
    stops = {
        (so_far, n): is_hopeless(so_far, n, total, needed, risk, len(looks))
        for n in looks
        for so_far in range(n + 1)
    }
    for correct in (needed, needed + 1):
        stopped = [any(stops[order[:n].sum(), n] for n in looks) for order in orders(total, correct)]
        assert sum(stopped) <= risk * len(stopped)
    # And it is for something: masks without a chance are stopped before that is certain.
    assert is_hopeless(0, max(looks), total, needed, risk, len(looks))
    assert any(is_hopeless(0, n, total, needed, 0.3, len(looks)) and n <= total - needed for n in looks)


def test_a_tail_of_a_large_set_is_that_of_exact_integers():
    total, needed, seen, correct = 5000, 4100, 640, 470
    ways = sum(comb(needed, k) * comb(total - needed, seen - k) for k in range(correct + 1))
    tail = Fraction(ways, comb(total, seen))
    assert 1e-12 < tail < 1e-4
    assert is_hopeless(correct, seen, total, needed, float(tail) * (1 + 1e-6))
    assert not is_hopeless(correct, seen, total, needed, float(tail) * (1 - 1e-6))


@given(st.floats(0.001, 0.999), st.lists(st.integers(0, 30), max_size=20))
def test_risks_never_add_up_to_more_than_the_race_however_the_search_is_cut(race, parts):
    shares, before = [], 0
    for masks in parts:
        shares += risks(race, before, masks).tolist()
        before += masks
    assert shares == risks(race, 0, before).tolist()
    assert all(share > 0 for share in shares)
    np.testing.assert_allclose(sum(shares), race * before / (before + 1), rtol=1e-12)
