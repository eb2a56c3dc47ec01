import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.studies import weight_pruning
from models.arrays import arrays_of, kernels_of
from models.errors import PruningError

SCORES = {"a": np.array([[3.0, 1.0], [1.0, 5.0]]), "b": np.array([1.0, 0.5, 2.0])}


@pytest.mark.parametrize(
    ("percent", "a", "b"),
    [
        (0, [[1, 1], [1, 1]], [1, 1, 1]),
        (14, [[1, 1], [1, 1]], [1, 1, 1]),
        (15, [[1, 1], [1, 1]], [1, 0, 1]),
        (30, [[1, 0], [1, 1]], [1, 0, 1]),
        (43, [[1, 0], [0, 1]], [1, 0, 1]),
        (58, [[1, 0], [0, 1]], [0, 0, 1]),
        (100, [[0, 0], [0, 0]], [0, 0, 0]),
    ],
)
def test_the_lowest_share_by_hand_with_ties_in_order(percent, a, b):
    keeps = weight_pruning.remove_lowest(SCORES, percent)
    np.testing.assert_array_equal(keeps["a"], np.array(a, bool))
    np.testing.assert_array_equal(keeps["b"], np.array(b, bool))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40), st.integers(0, 100))
def test_the_count_is_exact_and_nothing_kept_is_lower(values, percent):
    scores = {"only": np.array(values, float)}
    keep = weight_pruning.remove_lowest(scores, percent)["only"]
    assert np.count_nonzero(~keep) == len(values) * percent // 100
    if not keep.all() and keep.any():
        assert scores["only"][~keep].max() <= scores["only"][keep].min()


def test_magnitudes_and_thresholds_by_hand():
    kernels = {"a": np.array([[-2.0, 0.5]]), "b": np.array([[0.0], [4.0]])}
    np.testing.assert_array_equal(weight_pruning.magnitudes(kernels)["a"], [[2, 0.5]])
    scores = weight_pruning.normalised({**kernels, "c": np.array([7.0, 7.0])})
    np.testing.assert_array_equal(scores["a"], [[0, 1]])
    np.testing.assert_array_equal(scores["b"], [[0], [1]])
    np.testing.assert_array_equal(scores["c"], [1, 1])
    keeps = weight_pruning.remove_below({"a": np.array([0.1, 0.45, 0.46, -3])}, 0.45)
    np.testing.assert_array_equal(keeps["a"], [False, True, True, False])


def test_random_scores_remove_about_the_threshold_and_follow_the_seed():
    kernels = {"a": np.zeros((100, 100))}
    scores = weight_pruning.random_scores(kernels, 3)
    np.testing.assert_array_equal(scores["a"], weight_pruning.random_scores(kernels, 3)["a"])
    assert not np.array_equal(scores["a"], weight_pruning.random_scores(kernels, 4)["a"])
    removed = np.count_nonzero(~weight_pruning.remove_below(scores, 0.45)["a"])
    assert removed == pytest.approx(4500, abs=200)


def test_a_pruned_network_has_zeros_and_counts(tiny_model):
    chosen = {name: kernel for name, kernel in kernels_of(tiny_model.network).items() if "conv" in name}
    before = arrays_of(tiny_model.network)
    keeps = weight_pruning.remove_lowest(weight_pruning.magnitudes(chosen), 50)
    pruned, removed, total = weight_pruning.prune_weights(tiny_model.network, keeps)
    assert pruned.architecture == tiny_model.network.architecture
    assert sum(total.values()) == sum(kernel.size for kernel in chosen.values())
    assert sum(removed.values()) == sum(total.values()) // 2
    for name, array in arrays_of(pruned).items():
        np.testing.assert_array_equal(array, before[name] * keeps.get(name, True))
        if name in removed:
            assert np.count_nonzero(array == 0) == removed[name]
        np.testing.assert_array_equal(arrays_of(tiny_model.network)[name], before[name])


def test_bad_input_is_refused_by_a_sentence(tiny_model):
    with pytest.raises(PruningError, match="0 to 100 percent, not 101"):
        weight_pruning.remove_lowest(SCORES, 101)
    with pytest.raises(PruningError, match="finite"):
        weight_pruning.remove_lowest({"a": np.array([np.nan])}, 10)
    with pytest.raises(PruningError, match="finite"):
        weight_pruning.remove_below(SCORES, float("nan"))
    with pytest.raises(PruningError, match="no array 'odd'"):
        weight_pruning.prune_weights(tiny_model.network, {"odd": np.ones(2, bool)})
    with pytest.raises(PruningError, match="bool"):
        weight_pruning.prune_weights(tiny_model.network, {"logits.dense.kernel": np.ones(2, bool)})
