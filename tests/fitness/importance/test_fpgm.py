import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fitness.importance.fpgm import fpgm, summed_distances
from models.arrays import arrays_of
from tests.fitness.importance.subjects import change_arrays, subject_of


def by_definition(kernel):
    """He et al., equation 7: a double loop over the filters of ``[..., filters]``."""
    filters = np.moveaxis(kernel.astype(np.float64), -1, 0)
    return np.array([sum(np.linalg.norm((one - other).ravel()) for other in filters) for one in filters])


def test_distances_by_hand():
    def fill(arrays):
        kernel = arrays["conv1_1.convolution.kernel"]
        kernel[:] = 1
        # Two weights of each filter: at (0, 0), (3, 4), (6, 8) and again (3, 4).
        kernel[0, 0, 1] += [0, 3, 6, 3]
        kernel[2, 1, 0] += [0, 4, 8, 4]

    found = fpgm(change_arrays(subject_of("plain", ["conv1_1"]), fill))
    expected = np.array([20, 10, 20, 10])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), rtol=1e-6)


def test_each_layer_by_definition():
    subject = subject_of("plain")
    arrays = arrays_of(subject.model.network)
    for name, found in subject.layout.split(fpgm(subject)).items():
        [kernel] = [array for path, array in arrays.items() if path.startswith(name) and path.endswith("kernel")]
        expected = by_definition(kernel)
        np.testing.assert_allclose(found, expected / np.linalg.norm(expected), rtol=1e-6)


def test_tied_channels_sum_over_all_kernels_that_make_them():
    subject = subject_of("residual", ["tied"])
    arrays = arrays_of(subject.model.network)
    makers = ["stem.convolution.kernel", "block1.second.kernel", "block2.second.kernel"]
    expected = sum(by_definition(arrays[name]) for name in makers)
    np.testing.assert_allclose(fpgm(subject), expected / np.linalg.norm(expected), rtol=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 30), st.floats(-1e3, 1e3))
def test_distances_follow_a_permutation_and_no_shift(seed, filters, weights, shift):
    rng = np.random.default_rng(seed)
    points, order = rng.standard_normal((filters, weights)), rng.permutation(filters)
    expected = by_definition(points.T)
    np.testing.assert_allclose(summed_distances(points), expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(summed_distances(points[order] + shift), expected[order], rtol=1e-6, atol=1e-9)


def test_equal_filters_have_no_distance():
    assert summed_distances(np.full((3, 5), 0.1)).max() < 1e-7
