import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import FAILED
from engine.errors import OptionError
from fitness.objective import ParameterObjective
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
    objective = ParameterObjective(flat_cost)
    masks = removing(0, 1, 4, 4, 5, 1)
    appraisal = objective.appraise(masks, np.array([800, 790, 783, 720, FAILED, 808]), 800)
    # Drops of 0, 1.25, 2.125, 10 and -1 percent, against a threshold of 2.
    expected = [0.0, 10.0, 40 / 12.125 - 0.5 * 2.125, 40 / 20 - 5.0, -np.inf, 10.0]
    np.testing.assert_allclose(appraisal.score, expected)
    assert appraisal.feasible.tolist() == [True, True, False, False, False, True]
    np.testing.assert_allclose(appraisal.figures["accuracy_drop"], [0, 1.25, 2.125, 10, np.nan, -1])
    np.testing.assert_array_equal(appraisal.figures["parameters"], [1000, 900, 600, 600, 500, 900])


def test_the_threshold_itself_is_not_within_and_threshold_0_asks_for_better():
    objective = ParameterObjective(flat_cost, threshold=0.0)
    appraisal = objective.appraise(removing(0, 1, 1), np.array([800, 800, 801]), 800)
    assert appraisal.feasible.tolist() == [True, False, True]


@given(st.integers(1, 1000), st.lists(st.integers(-1, 1000), min_size=1, max_size=8), st.floats(0, 100))
def test_scores_are_never_nan_and_feasible_ones_are_the_parameter_drop(original, counts, threshold):
    objective = ParameterObjective(flat_cost, threshold=threshold)
    masks = removing(*range(1, len(counts) + 1))
    appraisal = objective.appraise(masks, np.array(counts), original)
    assert not np.isnan(appraisal.score).any()
    feasible = appraisal.feasible
    np.testing.assert_array_equal(appraisal.score[feasible], appraisal.figures["parameter_drop"][feasible])
    assert (appraisal.figures["accuracy_drop"][feasible] < threshold).all()


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"threshold": -1}, "--threshold"),
        ({"threshold": float("nan")}, "--threshold"),
        ({"weight": 2}, "--lambda"),
        ({"offset": 0}, "--epsilon"),
    ],
)
def test_impossible_options_are_named(values, option):
    with pytest.raises(OptionError, match=option):
        ParameterObjective(flat_cost, **values)
