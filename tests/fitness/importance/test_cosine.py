import jax.numpy as jnp
import numpy as np
import pytest

from experiments.studies.merging import merge_outgoing
from fitness.importance.contract import ImportanceError
from fitness.importance.cosine import closest_twins, cosine, grams
from models.pruning import prune
from tests.fitness.importance.subjects import change_arrays, logits_of, subject_of


def make_proportional(arrays):
    """Filter 3 of conv1_2 is 2.5 times filter 1, neuron 0 of fc1 is 0.5 times neuron 6; all neurons are active."""
    arrays["fc1.dense.bias"][:] = 3
    for kernel, bias, one, other, scale in [
        ("conv1_2.convolution.kernel", "conv1_2.convolution.bias", 3, 1, 2.5),
        ("fc1.dense.kernel", "fc1.dense.bias", 0, 6, 0.5),
    ]:
        for name in (kernel, bias):
            arrays[name][..., one] = scale * arrays[name][..., other]


def test_cosines_by_hand():
    """A first convolution that copies the input: activations are the pixels themselves."""

    def copy_inputs(arrays):
        kernel = arrays["conv1_1.convolution.kernel"]
        kernel[:] = 0
        kernel[1, 1, 0, 0] = kernel[1, 1, 1, 1] = 1
        kernel[1, 1, :, 2] = [1, 1]
        arrays["conv1_1.convolution.bias"][:] = [3, 4, 7, -1]

    subject = change_arrays(subject_of("plain", ["conv1_1"]), copy_inputs)
    normalisation = subject.model.normalisation
    pixels = (subject.images / 255 - normalisation.mean) / normalisation.std
    first, second = pixels[..., 0].ravel() + 3, pixels[..., 1].ravel() + 4
    vectors = np.maximum(np.stack([first, second, first + second, np.full_like(first, -1)]), 0)
    np.testing.assert_allclose(grams(subject, batch=7)["conv1_1"], vectors @ vectors.T, rtol=1e-5)

    def cos(one, other):
        return vectors[one] @ vectors[other] / np.linalg.norm(vectors[one]) / np.linalg.norm(vectors[other])

    sums = [cos(0, 2), cos(1, 2)]
    np.testing.assert_allclose(cosine(subject), [1 - sums[0], 1 - sums[1], 1 - max(sums), 0], atol=1e-6)


def test_twins_are_found_and_merging_them_keeps_the_function():
    subject = change_arrays(subject_of("plain", ["conv1_2", "fc1"]), make_proportional)
    network = subject.model.network
    inputs = subject.model.normalisation(jnp.asarray(subject.images))
    logits = logits_of(subject.model, subject.images)
    found = grams(subject)
    importance = subject.layout.split(cosine(subject))
    for group, expected in (("conv1_2", (1, 3, 0.4)), ("fc1", (0, 6, 0.5))):
        size = len(found[group])
        twins = closest_twins(found[group], np.ones(size, bool))
        assert twins[:2] == expected[:2]
        assert importance[group][list(expected[:2])].tolist() == [0, 0]
        np.testing.assert_allclose(twins[2:], (expected[2], 1), rtol=1e-5)
        keep = np.arange(size) != twins.removed
        network = prune(merge_outgoing(network, group, *twins[:3]), {group: keep})
    np.testing.assert_allclose(network(inputs), logits, rtol=1e-4, atol=1e-5)
    assert [group.size for group in network.filter_groups] == [4, 4, 6, 6]


def test_a_filter_that_is_never_active_goes_first_and_leaves_nothing_to_merge():
    def silence_one(arrays):
        arrays["fc1.dense.kernel"][:, 5] = 0
        arrays["fc1.dense.bias"][:] = [9, 9, 9, 9, 9, -1, 9]

    subject = change_arrays(subject_of("plain", ["fc1"]), silence_one)
    twins = closest_twins(grams(subject)["fc1"], np.ones(7, bool))
    assert (twins.removed, twins.scale, twins.similarity) == (5, 0, 1)


def test_of_equal_pairs_the_first_is_taken_whatever_the_processor_rounds():
    gram = np.ones((4, 4)) * 0.25 + np.eye(4) * 0.75
    gram[[0, 2, 1, 3], [2, 0, 3, 1]] = 0.5
    for rounding in (-1e-7, 0, 1e-7):
        gram[1, 3] = gram[3, 1] = 0.5 + rounding
        assert closest_twins(gram, np.ones(4, bool))[:2] == (0, 2)
    gram[1, 3] = gram[3, 1] = 0.5 + 1e-5
    assert closest_twins(gram, np.ones(4, bool))[:2] == (1, 3)


def test_removed_filters_are_left_out():
    gram = np.array([[1.0, -0.9, 0.5], [-0.9, 1.0, 0.4], [0.5, 0.4, 1.0]])
    assert closest_twins(gram, np.ones(3, bool)) == (0, 1, -0.9, 0.9)
    assert closest_twins(gram, np.array([False, True, True])) == (1, 2, 0.4, 0.4)
    with pytest.raises(ImportanceError, match="no twins"):
        closest_twins(gram, np.array([False, True, False]))


def test_tied_channels_are_compared_at_all_their_readers():
    subject = subject_of("residual", ["tied"])
    inputs = subject.model.normalisation(jnp.asarray(subject.images))
    carry, expected = inputs, np.zeros((6, 6))
    for stage in list(subject.model.network.stages)[:-1]:
        carry = stage(carry, {})
        rows = np.asarray(carry, np.float64).reshape(-1, 6)
        if stage.name == "block2":
            # The head reads averages.
            rows = rows.reshape(len(carry), -1, 6).mean(axis=1)
        expected += rows.T @ rows
    np.testing.assert_allclose(grams(subject)["tied"], expected, rtol=1e-5)
