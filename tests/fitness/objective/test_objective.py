import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.contracts import FAILED
from engine.errors import OptionError
from fitness.objective.cost import CostObjective
from fitness.objective.rewards import OBJECTIVES
from models.cost import Cost


def flat_cost(masks):
    """100 parameters and 200 MACs a filter."""
    kept = masks.sum(axis=1)
    return Cost(100 * kept, 200 * kept)


def removing(*counts, filters=10):
    masks = np.ones((len(counts), filters), bool)
    for mask, count in zip(masks, counts, strict=True):
        mask[:count] = False
    return masks


def test_algorithm_1_by_hand():
    objective = CostObjective(flat_cost)
    masks = removing(0, 1, 4, 4, 5, 1)
    appraisal = objective.appraise(masks, np.array([800, 790, 783, 720, FAILED, 808]), 800)
    # Drops of 0, 1.25, 2.125, 10 and -1 percent, against a threshold of 2.
    expected = [0.0, 10.0, 40 / 12.125 - 0.5 * 2.125, 40 / 20 - 5.0, -np.inf, 10.0]
    np.testing.assert_allclose(appraisal.score, expected)
    assert appraisal.feasible.tolist() == [True, True, False, False, False, True]
    np.testing.assert_allclose(appraisal.figures["accuracy_drop"], [0, 1.25, 2.125, 10, np.nan, -1])
    np.testing.assert_array_equal(appraisal.figures["parameters"], [1000, 900, 600, 600, 500, 900])


@pytest.mark.parametrize("rewarded", OBJECTIVES)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=6),
    st.integers(0, 60),
    st.floats(0, 10),
    st.floats(0, 1),
    st.floats(0.5, 20),
)
def test_every_objective_is_algorithm_1_with_its_own_drop(rewarded, removed, correct, threshold, weight, offset):
    def latency(masks):
        return 0.25 + 0.5 * masks.sum(axis=1)

    def cost(masks):
        return Cost(100 * masks.sum(axis=1), masks.sum(axis=1) ** 2)

    objective = CostObjective(cost, threshold, weight, offset, rewarded, latency)
    masks = removing(*removed)
    appraisal = objective.appraise(masks, np.full(len(removed), correct), 50)
    lost = 100 * (50 - correct) / 50
    for row, count in enumerate(removed):
        left = 10 - count
        drop = {"parameters": 10 * count, "macs": 100 - left**2, "latency": 100 * 0.5 * count / 5.25}[rewarded]
        score = drop if lost < threshold else drop / (lost + offset) - weight * lost
        assert appraisal.score[row] == pytest.approx(score)
        assert appraisal.figures[OBJECTIVES[rewarded].figure][row] == pytest.approx(drop)
        assert appraisal.figures["latency_ms"][row] == 0.25 + 0.5 * left


def test_latency_is_a_figure_only_where_there_is_a_model_of_it():
    figures = CostObjective(flat_cost, rewarded="macs").appraise(removing(1), np.array([5]), 5).figures
    assert set(figures) == {"accuracy_drop", "parameter_drop", "mac_drop", "parameters", "macs"}
    with pytest.raises(ValueError, match="model"):
        CostObjective(flat_cost, rewarded="latency")


def test_the_threshold_itself_is_not_within_and_threshold_0_asks_for_better():
    objective = CostObjective(flat_cost, threshold=0.0)
    appraisal = objective.appraise(removing(0, 1, 1), np.array([800, 800, 801]), 800)
    assert appraisal.feasible.tolist() == [True, False, True]


@given(st.integers(1, 1000), st.lists(st.integers(-1, 1000), min_size=1, max_size=8), st.floats(0, 100))
def test_scores_are_never_nan_and_feasible_ones_are_the_parameter_drop(original, counts, threshold):
    objective = CostObjective(flat_cost, threshold=threshold)
    masks = removing(*range(1, len(counts) + 1))
    appraisal = objective.appraise(masks, np.array(counts), original)
    assert not np.isnan(appraisal.score).any()
    feasible = appraisal.feasible
    np.testing.assert_array_equal(appraisal.score[feasible], appraisal.figures["parameter_drop"][feasible])
    assert (appraisal.figures["accuracy_drop"][feasible] < threshold).all()


@given(
    st.one_of(st.floats(0, 100), st.floats(0, 1)),
    st.floats(0, 1),
    st.floats(0.001, 20),
    st.lists(st.integers(0, 50), min_size=2, max_size=12).filter(any),
    st.integers(1, 60),
    st.integers(0, 2**32 - 1),
)
def test_where_it_says_so_no_mask_loses_as_more_images_are_right(
    threshold, weight, offset, costs, original, seed
):
    def cost(masks):
        return Cost(masks @ np.array(costs), masks.sum(axis=1))

    objective = CostObjective(cost, threshold, weight, offset)
    assume(objective.monotone)
    counts = np.arange(61)
    kept = np.random.default_rng(seed).random((4, len(costs))) < 0.7
    for mask in [np.ones(len(costs), bool), *kept]:
        appraisal = objective.appraise(np.tile(mask, (61, 1)), counts, original)
        assert (np.diff(appraisal.score) >= 0).all()
        assert (np.diff(appraisal.feasible.astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("threshold", "offset", "monotone"), [(2, 10, True), (0, 1, True), (0.5, 0.5, True), (0.5, 0.4, False)]
)
def test_only_a_small_threshold_and_offset_reward_leaving_the_threshold(threshold, offset, monotone):
    objective = CostObjective(flat_cost, threshold=threshold, weight=0.0, offset=offset)
    assert objective.monotone == monotone
    # A count on the threshold, and one more.
    counts = np.array([round(1000 * (1 - threshold / 100)), round(1000 * (1 - threshold / 100)) + 1])
    beyond, within = objective.appraise(removing(4, 4), counts, 1000).score
    assert (beyond <= within) == monotone


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"threshold": -1}, "`threshold`"),
        ({"threshold": float("nan")}, "`threshold`"),
        ({"weight": 2}, "`weight`"),
        ({"offset": 0}, "`offset`"),
        ({"rewarded": "watts"}, "`objective`"),
    ],
)
def test_impossible_options_are_named(values, option):
    with pytest.raises(OptionError, match=option):
        CostObjective(flat_cost, **values)
