import numpy as np
import pytest

from fitness.importance import IMPORTANCES
from models.state import arrays_of
from tests.fitness.importance.subjects import change_arrays, subject_of


@pytest.fixture
def subject():
    """Kernels that are zero but for some weights of the first convolution and of the dense layer."""

    def fill(arrays):
        for array in arrays.values():
            array[:] = 0
        arrays["conv1_1.convolution.kernel"][0, 0, :, 0] = [3, -4]
        arrays["conv1_1.convolution.kernel"][2, 1, 1, 2] = -12
        arrays["conv1_1.convolution.bias"][:] = 100
        arrays["fc1.dense.kernel"][[0, 5, 9], 6] = [2, -3, 6]

    return change_arrays(subject_of("plain", ["conv1_1", "fc1"]), fill)


@pytest.mark.parametrize(
    ("name", "convolution", "dense"),
    [
        ("magnitude-l1-raw", [7, 0, 12, 0], 11),
        ("magnitude-l2-raw", [5, 0, 12, 0], 7),
        ("magnitude-l1", np.array([7, 0, 12, 0]) / np.sqrt(193), 1),
        ("magnitude-l2", np.array([5, 0, 12, 0]) / 13, 1),
        ("magnitude", np.array([7, 0, 12, 0]) / np.sqrt(193), 1),
    ],
)
def test_magnitudes_by_hand(subject, name, convolution, dense):
    found = subject.layout.split(IMPORTANCES[name](subject))
    np.testing.assert_allclose(found["conv1_1"], convolution, rtol=1e-12)
    np.testing.assert_allclose(found["fc1"], [0, 0, 0, 0, 0, 0, dense], rtol=1e-12)


def test_tied_channels_count_all_kernels_that_make_them():
    subject = subject_of("residual", ["tied"])
    arrays = arrays_of(subject.model.network)
    makers = ["stem.convolution.kernel", "block1.second.kernel", "block2.second.kernel"]
    expected = np.sqrt(sum(np.square(arrays[name].astype(float)).sum((0, 1, 2)) for name in makers))
    np.testing.assert_allclose(IMPORTANCES["magnitude-l2-raw"](subject), expected, rtol=1e-6)
