"""Mean ranks against NumPy's, of maps that NumPy computes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitness.importance.contract import ImportanceError
from fitness.importance.hrank import hrank, mean_rank
from models.arrays import arrays_of
from models.stages.dense import DenseStage
from tests.fitness.importance.by_hand import convolved, dense, maximum_pool, normalised
from tests.fitness.importance.subjects import change_arrays, subject_of


def low_rank(seed, ranks, size=(5, 4)):
    """``float32[1, 5, 4, c]``: sums of outer products."""
    rng = np.random.default_rng(seed)
    maps = [rng.standard_normal((size[0], rank)) @ rng.standard_normal((rank, size[1])) for rank in ranks]
    return np.stack(maps, axis=-1)[None].astype(np.float32)


def test_ranks_by_hand():
    maps = np.zeros((2, 3, 3, 4), np.float32)
    maps[0, ..., 1] = 5
    maps[0, ..., 2] = [[1, 2, 3], [2, 4, 6], [0, 0, 1]]
    maps[0, ..., 3] = np.eye(3)
    maps[1, 1, 2, :] = [0, 1, -1, 1e-30]
    assert mean_rank([maps]).tolist() == [[0, 1, 2, 3], [0, 1, 1, 1]]
    # A neuron, a map of one number, and both together.
    numbers = np.array([[0, 3, -2, 0]], np.float32)
    assert mean_rank([numbers]).tolist() == mean_rank([numbers[:, None, None]]).tolist() == [[0, 1, 1, 0]]
    assert mean_rank([numbers, maps[:1]]).tolist() == [[0, 1, 1.5, 1.5]]
    assert np.isnan(mean_rank([np.array([[np.nan, np.inf]], np.float32)])).all()


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 4), min_size=4, max_size=4), st.permutations(range(4)))
def test_ranks_follow_a_permutation(seed, ranks, order):
    maps = low_rank(seed, ranks)
    assert mean_rank([maps]).tolist() == [ranks]
    assert mean_rank([maps[..., order]]).tolist() == [[ranks[place] for place in order]]


def numpy_ranks(maps):
    """``float64[c]``: the mean over the images of ``[n, height, width, c]``."""
    return np.mean(
        [[np.linalg.matrix_rank(each[..., c].astype(np.float32)) for c in range(maps.shape[3])] for each in maps],
        0,
    )


def test_mean_ranks_of_a_network_in_front_of_its_pools():
    """Filters with a high threshold are silent at many places, so that their maps have other ranks."""

    def raise_thresholds(arrays):
        for name, array in arrays.items():
            if name.endswith("convolution.bias"):
                array -= np.linspace(0, 3, len(array)).astype(np.float32)

    subject = change_arrays(subject_of("plain"), raise_thresholds)
    arrays = arrays_of(subject.model.network)
    first = np.maximum(convolved(normalised(subject), arrays, "conv1_1.convolution"), 0)
    second = np.maximum(convolved(first, arrays, "conv1_2.convolution"), 0)
    third = np.maximum(convolved(maximum_pool(second), arrays, "conv2_1.convolution"), 0)
    pooled = maximum_pool(third)
    neurons = np.maximum(dense(pooled.reshape(len(pooled), -1), arrays, "fc1"), 0)
    expected = {
        name: numpy_ranks(maps)
        for name, maps in zip(("conv1_1", "conv1_2", "conv2_1"), (first, second, third), strict=True)
    }
    expected["fc1"] = np.mean(neurons > 0, axis=0)
    found = subject.layout.split(hrank(subject, batch=7))
    for name, ranks in expected.items():
        assert len(np.unique(ranks)) > 2
        np.testing.assert_allclose(found[name], ranks / np.linalg.norm(ranks), rtol=1e-6)


def test_tied_channels_have_the_mean_rank_of_all_their_maps():
    subject = subject_of("residual")
    arrays = arrays_of(subject.model.network)
    carry = np.maximum(convolved(normalised(subject), arrays, "stem.convolution"), 0)
    tied = [numpy_ranks(carry)]
    for i in (1, 2):
        inner = np.maximum(convolved(carry, arrays, f"block{i}.first"), 0)
        carry = np.maximum(carry + convolved(inner, arrays, f"block{i}.second"), 0)
        tied.append(numpy_ranks(carry))
    found = subject.layout.split(hrank(subject))
    for name, ranks in {"tied": np.mean(tied, axis=0), "inner2": numpy_ranks(inner)}.items():
        np.testing.assert_allclose(found[name], ranks / np.linalg.norm(ranks), rtol=1e-6)


def test_a_network_that_is_not_finite_is_refused():
    subject = change_arrays(subject_of("plain"), lambda arrays: arrays["fc1.dense.bias"].fill(np.nan))
    with pytest.raises(ImportanceError, match="not finite"):
        hrank(subject)


def test_a_layer_without_maps_is_refused(monkeypatch):
    monkeypatch.setattr(DenseStage, "maps", lambda self, carry: {})
    with pytest.raises(ImportanceError, match="no feature maps of layer 'fc1' of plain; choose"):
        # A layout of its own: programs are compiled once for all networks of one structure.
        hrank(subject_of("plain", ["conv2_1", "fc1"]))
