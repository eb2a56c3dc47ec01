"""Reconstruction errors against the closed form of regression, computed from scratch for every set of channels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitness.importance.layers import first_of_lowest
from fitness.importance.reconstruction import errors_on_leaving, reconstruction
from tests.fitness.importance.subjects import change_arrays, subject_of


def quadratic(seed, size, outputs=4):
    rng = np.random.default_rng(seed)
    inputs, weights = (
        rng.standard_normal((3 * size, size)) @ rng.standard_normal((size, size)),
        rng.random((size, outputs)),
    )
    return inputs.T @ inputs, weights


def error(covariance, weights, kept):
    """Squared error of the outputs, a share of their variance, when ``kept`` predict the others."""
    removed = np.setdiff1d(np.arange(len(weights)), kept)
    cross = covariance[np.ix_(removed, kept)]
    left = covariance[np.ix_(removed, removed)]
    if len(kept):
        left = left - cross @ np.linalg.solve(covariance[np.ix_(kept, kept)], cross.T)
    lost = np.trace(weights[removed].T @ left @ weights[removed])
    return lost / np.trace(weights.T @ covariance @ weights)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 2))
def test_errors_are_those_of_regression_and_the_cheapest_channel_leaves(seed, size, readers):
    cases = [quadratic(seed + number, size) for number in range(readers)]
    found = errors_on_leaving([(covariance, weights @ weights.T) for covariance, weights in cases], size)
    order = np.argsort(found)
    assert np.unique(found).size == size
    for removed in range(1, size + 1):
        kept = np.sort(order[removed:])
        after = sum(error(*case, kept) for case in cases)
        assert found[order[removed - 1]] == pytest.approx(after, rel=1e-6, abs=1e-9)
        before = np.sort(order[removed - 1 :])
        rivals = [sum(error(*case, before[before != rival]) for case in cases) for rival in before]
        assert after <= min(rivals) * (1 + 1e-6) + 1e-9
    assert found.max() == pytest.approx(readers)


def test_a_filter_that_another_explains_is_free_and_one_that_nobody_reads_too():
    subject = subject_of("plain", ["conv1_2"])

    def copy_first(arrays):
        arrays["conv1_2.convolution.kernel"][..., 3] = arrays["conv1_2.convolution.kernel"][..., 0]
        arrays["conv1_2.convolution.bias"][3] = arrays["conv1_2.convolution.bias"][0]
        arrays["conv2_1.convolution.kernel"][:, :, 1] = 0

    found = reconstruction(change_arrays(subject, copy_first))
    first, second, *others = np.argsort(found)
    assert {first, second} <= {0, 1, 3}
    assert 1 in (first, second)
    # The ridge of a thousandth keeps the copy from being perfect.
    assert found[second] < 0.01 < found[others].min()


def test_of_filters_that_cost_the_same_the_first_leaves_whatever_the_processor_rounds():
    numbers = np.array([3.0, 0.5, 0.5, np.inf])
    for rounding in (-1e-13, 0.0, 1e-13):
        assert first_of_lowest(numbers + np.array([0, 0, rounding, 0]), numbers) == 1
    assert first_of_lowest(numbers - np.array([0, 0, 1e-6, 0]), numbers) == 2
    assert first_of_lowest(np.array([1e-12, 0.0, -1e-12]), np.array([1e-12, 0.0, 1e-12])) == 2
