from dataclasses import replace

import numpy as np
import pytest

from fitness.importance.contract import ImportanceError
from fitness.importance.karnin import karnin
from tests.fitness.importance.subjects import subject_of


def test_synapses_are_summed_to_filters_and_brought_to_0_to_1():
    subject = subject_of("plain", ["conv1_1", "fc1"])
    sensitivity = {name: np.zeros_like(array) for name, array in subject.model.sensitivity.items()}
    sensitivity["conv1_1.convolution.kernel"][0, 0, :, 0] = [1, 2]
    sensitivity["conv1_1.convolution.kernel"][1, 2, :, 1] = [-2, 1]
    sensitivity["conv1_1.convolution.kernel"][2, 2, 1, 3] = 1
    found = subject.layout.split(karnin(with_sensitivity(subject, sensitivity)))
    # Sums 3, -1, 0, 1 and, in the dense layer, nothing but zeros.
    np.testing.assert_allclose(found["conv1_1"], [1, 0, 0.25, 0.5])
    np.testing.assert_array_equal(found["fc1"], np.full(7, 0.5))


def test_tied_channels_sum_over_all_kernels_that_make_them():
    subject = subject_of("residual", ["tied"])
    makers = ["stem.convolution.kernel", "block1.second.kernel", "block2.second.kernel"]
    sums = sum(subject.model.sensitivity[name].astype(float).sum((0, 1, 2)) for name in makers)
    np.testing.assert_allclose(karnin(subject), (sums - sums.min()) / np.ptp(sums), rtol=1e-6)


def test_without_sensitivity_the_remedy_is_named():
    subject = subject_of("plain")
    with pytest.raises(ImportanceError, match="`track_sensitivity`"):
        karnin(with_sensitivity(subject, None))
    for wrong in ({}, {name: array[..., :1] for name, array in subject.model.sensitivity.items()}):
        with pytest.raises(ImportanceError, match=r"not of this network: 'conv1_1.convolution.kernel'"):
            karnin(with_sensitivity(subject, wrong))


def with_sensitivity(subject, sensitivity):
    return replace(subject, model=replace(subject.model, sensitivity=sensitivity))
