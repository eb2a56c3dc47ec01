import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.layout import Layout
from fitness.importance.contract import ImportanceError
from fitness.importance.taylor_joint import INTERACTION, leave, taylor_joint
from tests.fitness.importance.by_hand import losses
from tests.fitness.importance.subjects import KINDS, change_arrays, subject_of

# The package has the function by the module's name.
module = sys.modules[taylor_joint.__module__]


def cost(changes, gone):
    """The squared change of all that have left, its elements off the diagonal less: by the whole matrix."""
    matrix = changes.T @ changes
    matrix = np.where(np.eye(len(matrix), dtype=bool), matrix, INTERACTION * matrix)
    return matrix[np.ix_(gone, gone)].sum()


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_the_one_leaves_that_keeps_the_change_smallest(seed, sizes, data):
    layout = Layout(tuple(map(str, range(len(sizes)))), tuple(sizes))
    changes = np.random.default_rng(seed).normal(size=(6, layout.n_filters))
    count = data.draw(st.integers(0, layout.n_filters))
    order = leave(changes, layout.full(), layout, count)
    assert len(set(order)) == len(order) == count
    layer = np.repeat(np.arange(len(sizes)), sizes)
    for number, leaving in enumerate(order):
        gone = order[:number]
        left = [sizes[index] - np.count_nonzero(layer[gone] == index) for index in range(len(sizes))]
        others = [j for j in range(layout.n_filters) if j not in gone]
        free = [j for j in others if left[layer[j]] > 1] or others
        assert leaving in free
        assert cost(changes, [*gone, leaving]) <= min(cost(changes, [*gone, j]) for j in free) + 1e-9


def test_filters_that_cancel_one_another_leave_before_those_that_add_up():
    layout = Layout(("a", "rest"), (4, 1))
    up = np.array([1.0, -1.0, 1.0, -1.0])
    other = np.array([1.0, 1.0, -1.0, -1.0])
    # Alone, each of the first two changes more than each of the next two.
    changes = np.stack([1.1 * up, -1.1 * up, other, other, 0 * up], axis=1)
    assert np.argsort(np.square(changes[:, :4]).sum(axis=0), kind="stable").tolist() == [2, 3, 0, 1]
    order = leave(changes, layout.full(), layout, 5)
    assert order[0] == 2
    assert order.index(1) == order.index(0) + 1
    assert order.index(3) > order.index(0)


@pytest.mark.parametrize("kind", KINDS)
def test_changes_are_those_of_a_network_without_what_has_left(kind):
    subject = subject_of(kind)
    rng = np.random.default_rng(1)
    keep = rng.random(subject.layout.n_filters) < 0.7
    keep[[part[0] for part in subject.layout.split(np.arange(subject.layout.n_filters)).values()]] = True
    found = module._changes(subject, keep, 64)
    step = 1e-5
    gates = {name: part.astype(float) for name, part in subject.layout.split(keep).items()}
    for number in np.flatnonzero(keep):
        one = subject.layout.split(np.arange(subject.layout.n_filters) == number)
        more, less = (
            losses(kind, subject, {name: gate + sign * step * one[name] for name, gate in gates.items()})
            for sign in (1, -1)
        )
        np.testing.assert_allclose(found[:, number], -(more - less) / (2 * step), rtol=1e-3, atol=1e-5)


def test_places_are_those_of_the_expansions_one_after_the_other(monkeypatch):
    monkeypatch.setattr(module, "SHARE", 0.4)
    monkeypatch.setattr(module, "LAST", 0.2)
    subject = subject_of("plain")
    layout = subject.layout
    keep, order = layout.full().copy(), []
    for count in (8, 5, 3, 2, 4):
        order += leave(module._changes(subject, keep, 64), keep, layout, count)
        keep[order] = False
    assert layout.n_filters == len(order) == 22
    assert np.argsort(taylor_joint(subject)).tolist() == order


def test_a_network_that_is_not_finite_is_refused():
    subject = change_arrays(subject_of("plain"), lambda arrays: arrays["fc1.dense.bias"].fill(np.nan))
    with pytest.raises(ImportanceError, match="not finite"):
        taylor_joint(subject)
