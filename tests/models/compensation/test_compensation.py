"""Compensation against plain least squares, and against networks where the answer is known."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import arrays_of, set_arrays
from models.compensation.coefficients import METHODS, RIDGE, Moments, coefficients
from models.compensation.folding import compensated
from models.compensation.method import Compensation
from models.compensation.moments import BATCH, channels_read, gather_moments
from models.errors import CompensationError
from models.normalisation import Normalisation
from models.pruning import prune
from tests.models.support.compensation_cases import (
    FIRST_GROUP,
    KINDS,
    built,
    folded_by_hand,
    rows_read_by_conv1_2,
    with_proportional_filters,
)
from tests.models.support.small_networks import PLAIN, keeps_of_widths, logits, small

NORMALISATION = Normalisation((0.4, 0.5), (0.3, 0.2))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).integers(0, 256, (BATCH + 7, 8, 8, 2), dtype=np.uint8)


def moments_of(network, images):
    return gather_moments(network, NORMALISATION, images, [group.name for group in network.filter_groups])


def products_of(rows):
    extended = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    return extended.T @ extended / len(rows)


def test_moments_are_those_of_what_the_next_layer_reads(images):
    network = built("plain")
    found = moments_of(network, images)
    assert sorted(found) == [
        "conv1_2.convolution.kernel",
        "conv2_1.convolution.kernel",
        "fc1.dense.kernel",
        "logits.dense.kernel",
    ]
    rows = rows_read_by_conv1_2(network, NORMALISATION(jnp.asarray(images)))
    np.testing.assert_allclose(found["conv1_2.convolution.kernel"], products_of(rows), rtol=1e-5, atol=1e-6)
    only = gather_moments(network, NORMALISATION, images, ["conv1_1"])
    assert list(only) == ["conv1_2.convolution.kernel"]


@pytest.mark.parametrize("name", [*KINDS, *PLAIN])
def test_readers_read_as_many_channels_as_they_are_shown(name):
    network = built(name) if name in KINDS else small(name)
    shape = network.architecture.input_shape
    names = [group.name for group in network.filter_groups]
    shown, carry = {}, jax.ShapeDtypeStruct((3, *shape), np.float32)
    for stage in network.stages:
        observed = nnx.eval_shape(lambda stage, carry: stage.observe(carry, {}), stage, carry)
        for reader in stage.readers():
            shown[f"{stage.name}.{reader.kernel}"] = observed[reader.kernel].shape[-1] // reader.rows.positions
        carry = nnx.eval_shape(lambda stage, carry: stage(carry, {}), stage, carry)
    assert channels_read(network, names) == shown
    some = channels_read(network, names[:1])
    assert some.items() <= shown.items()
    assert 0 < len(some) < len(shown)


def test_activations_that_are_not_finite_are_refused(images):
    network = built("plain")
    kernel = network.stages[0].convolution.kernel
    kernel[...] = kernel[...].at[..., 1].set(jnp.nan)
    with pytest.raises(CompensationError, match="conv1_2 reads infinite or NaN"):
        moments_of(network, images)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_linear_coefficients_are_those_of_least_squares_with_ridge_rows(seed, channels):
    rng = np.random.default_rng(seed)
    rows = np.maximum(rng.standard_normal((200, channels)) @ rng.standard_normal((channels, channels)) + 0.3, 0)
    keep = rng.random(channels) < rng.random()
    keep[rng.integers(channels)] = True
    ridge = RIDGE * np.mean(rows**2)
    kept = rows[:, keep]
    # The constant comes last and has no ridge row.
    left = np.concatenate([kept, np.ones((200, 1))], axis=1) / np.sqrt(200)
    left = np.concatenate([left, np.sqrt(ridge) * np.eye(keep.sum(), keep.sum() + 1)])
    right = np.concatenate([rows[:, ~keep] / np.sqrt(200), np.zeros((keep.sum(), (~keep).sum()))])
    expected = np.linalg.lstsq(left, right, rcond=None)[0].T
    found = coefficients("linear", Moments(products_of(rows)), keep)
    np.testing.assert_allclose(found.matrix, expected[:, :-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.constant, expected[:, -1], rtol=1e-4, atol=1e-5)


def test_mean_and_merge_by_hand():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 500))
    rows = np.stack([first, second, 3 * second + 1 + 0.01 * rng.random(500)], axis=1)
    moments = Moments(products_of(rows))
    keep = np.array([True, True, False])
    mean = coefficients("mean", moments, keep)
    assert not mean.matrix.any()
    np.testing.assert_allclose(mean.constant, rows[:, 2].mean(), rtol=1e-6)
    merged = coefficients("merge", moments, keep)
    assert merged.matrix[0, 0] == 0
    # The ridge of a thousandth of the mean second moment takes a few percent off the slope.
    np.testing.assert_allclose(merged.matrix[0, 1], 3, rtol=0.05)
    np.testing.assert_allclose(
        merged.constant + merged.matrix @ rows[:, :2].mean(0), rows[:, 2].mean(), rtol=1e-5
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("keep", [[False, False], [True, True], [True, False]])
def test_groups_that_are_dead_empty_or_whole_have_finite_coefficients(method, keep):
    dead = np.zeros((3, 3))
    dead[2, 2] = 1
    found = coefficients(method, Moments(dead), np.array(keep))
    assert found.matrix.shape == (2 - sum(keep), sum(keep))
    assert not found.matrix.any()
    assert not found.constant.any()


@pytest.mark.parametrize("kind", ["plain", "batch-norm", "residual"])
def test_a_channel_that_others_explain_can_go_without_a_trace(kind, images, monkeypatch):
    """Two channels in proportion: one removed, every logit stays, at the borders too."""
    monkeypatch.setattr("models.compensation.coefficients.RIDGE", 1e-9)
    network = built(kind)
    with_proportional_filters(network, kind, 2)
    group, keep = FIRST_GROUP[kind], np.arange(5) != 3
    inputs = NORMALISATION(jnp.asarray(images))
    compensation = Compensation("linear", moments_of(network, images))
    smaller = prune(compensated(network, {group: keep}, compensation), {group: keep})
    expected = np.asarray(logits(network, inputs))
    np.testing.assert_allclose(logits(smaller, inputs), expected, atol=1e-4)
    assert np.abs(np.asarray(logits(prune(network, {group: keep}), inputs)) - expected).max() > 1e-2


def test_a_channel_that_is_a_sum_of_others_and_a_constant_can_go_without_a_trace(images, monkeypatch):
    """A dense layer reads neurons that all stay positive: one of them is the sum of two and a constant."""
    monkeypatch.setattr("models.compensation.coefficients.RIDGE", 1e-10)
    network = built("plain")
    arrays = arrays_of(network)
    kernel, bias = arrays["fc1.dense.kernel"].copy(), arrays["fc1.dense.bias"].copy()
    bias[:] = 1.0
    kernel *= 0.01
    kernel[:, 6], bias[6] = kernel[:, 0] - 0.5 * kernel[:, 1], bias[0] - 0.5 * bias[1] + 0.7
    set_arrays(network, arrays | {"fc1.dense.kernel": kernel, "fc1.dense.bias": bias})
    keeps = {"fc1": np.arange(7) != 6}
    inputs = NORMALISATION(jnp.asarray(images))
    smaller = prune(compensated(network, keeps, Compensation("linear", moments_of(network, images))), keeps)
    np.testing.assert_allclose(logits(smaller, inputs), logits(network, inputs), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_compensated_masked_network_equals_the_pruned_one(kind, images):
    network = built(kind)
    products = moments_of(network, images)
    inputs = NORMALISATION(jnp.asarray(images[:9]))

    @settings(max_examples=5)
    @given(st.integers(0, 2**32 - 1), st.sampled_from(list(METHODS)))
    def check(seed, method):
        keeps = keeps_of_widths(network.filter_groups, np.random.default_rng(seed), 0.5)
        compensation = Compensation(method, products)
        changed = compensated(network, keeps, compensation)
        arrays = arrays_of(changed)
        for name, array in folded_by_hand(network, keeps, compensation).items():
            np.testing.assert_allclose(arrays[name], array, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            logits(prune(changed, keeps), inputs), logits(changed, inputs, keeps), atol=1e-4
        )

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_removed_channels_are_replaced_by_their_prediction(kind, images):
    """The folded weights against the original ones, reading predictions in place of removed channels.

    Without padding there is no border, so that this is exact: dense layers and means over the map.
    """
    network = built(kind)
    compensation = Compensation("linear", moments_of(network, images))
    head = network.stages[-1]
    group = head.reads
    size = next(entry.size for entry in network.filter_groups if entry.name == group)
    keep = np.arange(size) % 2 == 0
    carry = NORMALISATION(jnp.asarray(images))
    for stage in network.stages[:-1]:
        carry = stage(carry, {})
    read = np.asarray(head.observe(carry, {})["dense.kernel"]).reshape(len(images), -1, size)
    moments = products_of(read.reshape(-1, size).astype(np.float64))
    kept, removed = np.flatnonzero(keep), np.flatnonzero(~keep)
    ridge = RIDGE * np.mean(np.diagonal(moments)[:-1]) * np.eye(len(kept))
    index = np.append(kept, size)
    normal = moments[np.ix_(index, index)].copy()
    normal[:-1, :-1] += ridge
    solution = np.linalg.solve(normal, moments[np.ix_(index, removed)])
    predicted = np.array(read)
    predicted[..., removed] = read[..., kept] @ solution[:-1] + solution[-1]
    weights = np.asarray(head.dense.kernel[...])
    expected = predicted.reshape(len(read), -1) @ weights + np.asarray(head.dense.bias[...])
    changed = compensated(network, {group: keep}, compensation)
    np.testing.assert_allclose(changed.stages[-1](carry, {group: keep}), expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_projection_of_every_second_place_keeps_its_mean(method):
    """A 1x1 convolution has no border; the constant then keeps the mean over just the places that it reads."""
    network = small("resnet20")
    normalisation = Normalisation((0.5,) * 3, (0.25,) * 3)
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (20, *network.architecture.input_shape), dtype=np.uint8)
    stages = list(network.stages)
    number = next(i for i, stage in enumerate(stages) if stage.name == "unit2_1")
    carry = normalisation(jnp.asarray(images))
    for stage in stages[:number]:
        carry = stage(carry, {})
    keep = np.arange(carry.shape[-1]) != 1
    compensation = Compensation(method, gather_moments(network, normalisation, images, ["stage1"]))
    changed = list(compensated(network, {"stage1": keep}, compensation).stages)[number]
    expected = np.asarray(stages[number].shortcut.convolution(carry)).mean((0, 1, 2))
    found = np.asarray(changed.shortcut.convolution(jnp.where(keep, carry, 0))).mean((0, 1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    plain = np.asarray(stages[number].shortcut.convolution(jnp.where(keep, carry, 0))).mean((0, 1, 2))
    assert np.abs(plain - expected).max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_keeping_everything_changes_no_weight(kind, images):
    network = built(kind)
    keeps = {group.name: np.ones(group.size, bool) for group in network.filter_groups}
    changed = arrays_of(compensated(network, keeps, Compensation("linear", moments_of(network, images))))
    for name, array in arrays_of(network).items():
        assert changed[name].tobytes() == array.tobytes()


def test_an_unknown_method_is_refused():
    for name in ("magic", "", "recalibrate+linear", "linear+linear", "+recalibrate"):
        with pytest.raises(
            CompensationError, match=rf"none, mean, .*, linear\+recalibrate, not '{re.escape(name)}'"
        ):
            Compensation(name, {})


def test_coefficients_do_not_depend_on_the_number_of_threads():
    program = (
        "import hashlib, numpy as np\n"
        "from models.compensation.coefficients import Moments, coefficients\n"
        "rng = np.random.default_rng(0)\n"
        "rows = np.maximum(rng.standard_normal((600, 512)) @ rng.standard_normal((512, 512)), 0)\n"
        "products = np.ones((513, 513))\n"
        "products[:-1, :-1] = np.einsum('ni,nj->ij', rows, rows) / 600\n"
        "products[-1, :-1] = products[:-1, -1] = rows.mean(0)\n"
        "found = [coefficients('linear', Moments(products), rng.random(512) < share) for share in (0.4, 0.6)]\n"
        "print(hashlib.sha256(b''.join(part.tobytes() for each in found for part in each)).hexdigest())\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            cwd=Path(__file__).parents[3],
        ).stdout
        for threads in ("1", "4")
    }
    assert len(answers) == 1
