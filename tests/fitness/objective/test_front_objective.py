"""Objectives together: their names, and values by hand from counts and costs."""

import numpy as np
import pytest

from engine.contracts import FAILED
from engine.errors import OptionError
from fitness.objective.cost import CostObjective
from fitness.objective.front import FrontObjective, check_front, default_limit, named_objectives


def test_names_come_accuracy_first_and_the_others_as_given():
    assert named_objectives("macs, accuracy ,parameters") == ("accuracy", "macs", "parameters")
    assert named_objectives("accuracy,parameters") == ("accuracy", "parameters")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("accuracy", "must name accuracy and what is traded"),
        ("parameters,macs", "must name accuracy and what is traded"),
        ("accuracy,parameters,accuracy", "names accuracy twice"),
        ("accuracy,size", "'size' is not known; name two or more of accuracy, parameters, macs"),
        ("", "'' is not known"),
    ],
)
def test_other_names_are_refused(text, sentence):
    with pytest.raises(OptionError, match=f"`objectives`.*{sentence}"):
        named_objectives(text)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((None, 5.0, 2.0, 0.0), "`front_limit` 5.0 bounds the front of `objectives`"),
        (("accuracy,macs", 0.0, 0.0, 0.0), "above 0, up to 100 percent, not 0.0"),
        (("accuracy,macs", float("nan"), 0.0, 0.0), "not nan"),
        (("accuracy,macs", 1.0, 2.0, 0.0), "below `threshold` 2.0"),
        (("accuracy,macs", None, 2.0, 0.1), "`race` 0.1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given, sentence):
    with pytest.raises(OptionError, match=sentence):
        check_front(*given)


@pytest.mark.parametrize(("threshold", "limit"), [(0.0, 10.0), (2.0, 10.0), (5.0, 25.0), (60.0, 100.0)])
def test_the_limit_leaves_room_beyond_the_threshold(threshold, limit):
    assert default_limit(threshold) == limit
    check_front("accuracy,macs", None, threshold, 0.0)


def test_values_and_excess_are_those_of_the_definition(tiny_genome):
    single = CostObjective(tiny_genome, threshold=3.0)
    objective = FrontObjective(single, ("accuracy", "macs", "parameters"), limit=20.0)
    masks = np.random.default_rng(0).random((6, tiny_genome.layout.n_filters)) < 0.6
    masks[0] = True
    correct = np.array([40, 39, 32, 31, FAILED, 42])
    found = objective.appraise(masks, correct, 40)
    alone = single.appraise(masks, correct, 40)
    np.testing.assert_array_equal(found.score, alone.score)
    np.testing.assert_array_equal(found.feasible, alone.feasible)
    assert objective.monotone == single.monotone
    cost = tiny_genome(masks)
    np.testing.assert_allclose(found.aims.values[:, 1], 1 - cost.macs / cost.macs[0])
    np.testing.assert_allclose(found.aims.values[:, 2], 1 - cost.parameters / cost.parameters[0])
    # Drops of 0, 2.5, 20, 22.5 and -5 percent.
    np.testing.assert_allclose(found.aims.values[:, 0], [1, 0.875, 0, -0.125, -np.inf, 1.25])
    np.testing.assert_allclose(found.aims.excess, [0, 0, 0, 2.5, np.inf, 0])
    assert objective.appraise(masks[:0], correct[:0], 40).aims.values.shape == (0, 3)
