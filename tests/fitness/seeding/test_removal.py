import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.layout import Layout
from fitness.importance.contract import ImportanceError
from fitness.seeding.ranking import most_removable, remove_least

LAYOUT = Layout(("a", "b", "c"), (3, 1, 2))


def kept(importance, count):
    return remove_least(np.array(importance, float), LAYOUT, count).astype(int).tolist()


def test_the_least_go_first_across_layers_and_the_last_of_a_layer_stays():
    importance = [5, 1, 2, 0, 1, 3]
    assert kept(importance, 0) == [1, 1, 1, 1, 1, 1]
    # b's only filter is the least important of all, and stays.
    assert kept(importance, 1) == [1, 0, 1, 1, 1, 1]
    assert kept(importance, 2) == [1, 0, 1, 1, 0, 1]
    assert kept(importance, 3) == [1, 0, 0, 1, 0, 1]


def test_equals_go_in_order():
    assert kept([1] * 6, 2) == [0, 0, 1, 1, 1, 1]
    assert kept([1] * 6, 3) == [0, 0, 1, 1, 0, 1]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.data())
def test_counts_are_exact_and_no_layer_is_emptied(sizes, data):
    layout = Layout(tuple(map(str, range(len(sizes)))), tuple(sizes))
    importance = np.array(
        data.draw(st.lists(st.integers(-2, 2), min_size=sum(sizes), max_size=sum(sizes))), float
    )
    count = data.draw(st.integers(0, most_removable(layout)))
    mask = remove_least(importance, layout, count)
    assert np.count_nonzero(~mask) == count
    assert layout.kept(mask).min() >= 1
    for name, part in layout.split(mask).items():
        values = layout.split(importance)[name]
        assert part.all() or values[~part].max() <= values[part].min()


def test_what_cannot_be_ranked_or_removed_is_refused():
    with pytest.raises(ImportanceError, match="6 finite numbers"):
        remove_least(np.array([np.nan] * 6), LAYOUT, 1)
    with pytest.raises(ImportanceError, match="6 finite numbers"):
        remove_least(np.ones(5), LAYOUT, 1)
    with pytest.raises(ValueError, match="emptying"):
        remove_least(np.ones(6), LAYOUT, 4)
