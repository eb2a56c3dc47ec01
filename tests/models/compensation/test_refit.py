"""The refit against plain least squares, and against networks where the answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from models.arrays import arrays_of, set_arrays
from models.compensation import aims, least_squares
from models.compensation.aims import RefitAims
from models.compensation.folding import compensated
from models.compensation.least_squares import LeastSquares, solved
from models.compensation.method import Compensation
from models.compensation.moments import gather_moments
from models.compensation.patches import patches_at, places
from models.compensation.refit import refitted
from models.errors import CompensationError, PruningError
from models.networks.resnet import ResNetArchitecture
from models.normalisation import Normalisation
from models.pruning import prune
from models.windows import Window
from tests.models.support.compensation_cases import FIRST_GROUP, KINDS, built, with_proportional_filters
from tests.models.support.gains import assert_gains
from tests.models.support.small_networks import filled, keeps_of_widths, logits, random_keeps

NORMALISATION = Normalisation((0.4, 0.5), (0.3, 0.2))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).integers(0, 256, (aims.BATCH + 7, 8, 8, 2), dtype=np.uint8)


@pytest.fixture
def everywhere(monkeypatch):
    """All places are fitted, so that nothing is drawn."""
    monkeypatch.setattr(aims, "PLACES", 64)


def drawn_keeps(network, seed):
    return random_keeps(network.filter_groups, np.random.default_rng(seed), 0.6)


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 4),
    st.sampled_from([1, 2]),
    st.booleans(),
    st.integers(0, 99),
)
def test_patches_are_what_the_kernel_sees(height, width, side, stride, padded, seed):
    window = Window((side, side), stride, padded)
    rows, columns = window.outputs((height, width))
    if min(rows, columns) < 1:
        return
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(3, height, width, 2)).astype(np.float32)
    kernel = rng.normal(size=(side, side, 2, 4)).astype(np.float32)
    sliding = window.sliding
    chosen = places(maps.shape, sliding, 5, rng)
    assert chosen.shape == (3, min(5, rows * columns), 2)
    assert all(len(set(map(tuple, one))) == len(one) for one in chosen.tolist())
    numbers = ("NHWC", "HWIO", "NHWC")
    whole = jax.lax.conv_general_dilated(
        maps, kernel, (stride, stride), window.padding, dimension_numbers=numbers
    )
    expected = np.asarray(whole)[np.arange(3)[:, None], chosen[..., 0], chosen[..., 1]].reshape(-1, 4)
    found = patches_at(maps, sliding, chosen) @ kernel.reshape(-1, 4)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_layer_gets_the_weights_of_least_squares(images, everywhere):
    """The last layer of a network, in float64 by another route: rows for the ridge, and ``lstsq``."""
    network = built("plain")
    keeps = {"fc1": np.array([True, False, True, True, False, True, False])}
    found = arrays_of(refitted(RefitAims(network, NORMALISATION, images), network, keeps))
    carry = NORMALISATION(jnp.asarray(images))
    for stage in network.stages[:-1]:
        carry = stage(carry, {})
    read = np.asarray(carry, np.float64)
    arrays = {name: array.astype(np.float64) for name, array in arrays_of(network).items()}
    kernel, bias = arrays["logits.dense.kernel"], arrays["logits.dense.bias"]
    inputs = np.column_stack([read[:, keeps["fc1"]], np.ones(len(read))])
    ridge = np.sqrt(least_squares.RIDGE * np.mean(np.sum(inputs[:, :-1] ** 2, axis=0)))
    start = np.vstack([kernel[keeps["fc1"]], bias])
    rows = np.vstack([inputs, ridge * np.eye(len(start))])
    solution = np.linalg.lstsq(rows, np.vstack([read @ kernel + bias, ridge * start]), rcond=None)[0]
    np.testing.assert_allclose(found["logits.dense.kernel"][keeps["fc1"]], solution[:-1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["logits.dense.bias"], solution[-1], rtol=1e-3, atol=1e-4)
    changed = {name for name, array in found.items() if not np.array_equal(array, arrays_of(network)[name])}
    assert changed == {"logits.dense.kernel", "logits.dense.bias"}


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_in_front_of_a_relu_negative_sums_are_alike(seed, constant):
    """The change of the weights against a minimum that SciPy finds by gradients of the error."""
    rng = np.random.default_rng(seed)
    inputs, wanted, present = (rng.normal(size=(30, width)).astype(np.float32) for width in (4, 2, 2))
    if constant:
        inputs[:, -1] = 1
    gain = rng.choice([-1, 1], 2) * rng.uniform(0.2, 3, 2)
    problem = LeastSquares([inputs[:20], inputs[20:]], [wanted], [present], gain, True, constant)
    problem = problem._replace(wanted=[wanted[:20], wanted[20:]], present=[present[:20], present[20:]])
    ridge = least_squares.RIDGE * np.mean(np.sum(np.square(inputs, dtype=np.float64), axis=0)[: 4 - constant])

    def error(flat):
        change = flat.reshape(4, 2)
        sums = present + gain * (inputs @ change)
        off = np.where(wanted > 0, sums - wanted, np.maximum(sums, 0)) / gain
        slope = 2 * inputs.T @ off + 2 * ridge * change
        return np.sum(off**2) + ridge * np.sum(change**2), slope.ravel()

    best = minimize(error, np.zeros(8), jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9})
    steps = []
    for count in (1, 2, 5, 400):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(least_squares, "RECTIFIED_STEPS", count)
            steps.append(error(solved(problem).ravel())[0])
    assert steps == sorted(steps, reverse=True)
    np.testing.assert_allclose(steps[-1], best.fun, rtol=1e-3)
    assert steps[-1] >= best.fun * (1 - 1e-5)


def test_the_weights_of_dead_outputs_stay():
    rng = np.random.default_rng(0)
    inputs, wanted, present = (rng.normal(size=(30, width)).astype(np.float32) for width in (4, 3, 3))
    for dead in (0.0, 1e-20):
        gain = np.array([1.0, dead, -2.0])
        change = solved(LeastSquares([inputs], [wanted], [present], gain, False, False))
        assert np.isfinite(change).all()
        assert (change != 0).any(axis=0).tolist() == [True, False, True]
    change = solved(LeastSquares([inputs], [wanted], [present], np.zeros(3), False, False))
    assert not change.any()


RESNET = ResNetArchitecture("any", (4, 5), ((3,), (4, 4)), 3, (8, 8, 2))


@pytest.mark.parametrize(
    "architecture", [KINDS["plain"], KINDS["batch-norm"], RESNET], ids=lambda each: each.family
)
def test_the_gain_of_a_sum_is_how_much_it_grows_with_the_kernel(architecture, images):
    network = filled(architecture, 1)
    assert_gains(network, NORMALISATION(jnp.asarray(images[:3])), drawn_keeps(network, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_that_removes_nothing_changes_no_weight(kind, images):
    network = built(kind)
    whole = {group.name: np.ones(group.size, bool) for group in network.filter_groups}
    for keeps in ({}, whole):
        found = arrays_of(refitted(RefitAims(network, NORMALISATION, images), network, keeps))
        assert all(np.array_equal(found[name], array) for name, array in arrays_of(network).items())


@pytest.mark.parametrize("most", [1 << 30, 0])
def test_aims_that_serve_several_masks_are_those_of_each(most, images, monkeypatch):
    monkeypatch.setattr(aims, "MOST_KEPT", most)
    network = built("batch-norm")
    shared = RefitAims(network, NORMALISATION, images)
    for seed in range(3):
        keeps = drawn_keeps(network, seed)
        alone = arrays_of(refitted(RefitAims(network, NORMALISATION, images), network, keeps))
        found = arrays_of(refitted(shared, network, keeps))
        assert all(np.array_equal(found[name], array) for name, array in alone.items())
    assert (shared._kept is not None) == (most > 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_refitted_masked_network_equals_the_pruned_one(kind, images):
    network = built(kind)
    before = arrays_of(network)

    @settings(max_examples=1)
    @given(st.integers(0, 2**32 - 1))
    def check(seed):
        keeps = keeps_of_widths(network.filter_groups, np.random.default_rng(seed), 0.6)
        changed = refitted(RefitAims(network, NORMALISATION, images), network, keeps)
        inputs = NORMALISATION(jnp.asarray(images[:9]))
        np.testing.assert_allclose(
            logits(prune(changed, keeps), inputs), logits(changed, inputs, keeps), atol=1e-4
        )
        assert all(np.array_equal(array, before[name]) for name, array in arrays_of(network).items())

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_what_kept_channels_explain_can_go_without_a_trace(kind, images, everywhere, monkeypatch):
    """Removed channels are copies of kept ones; the mask alone does harm."""
    monkeypatch.setattr(least_squares, "RIDGE", 1e-9)
    network = built(kind)
    with_proportional_filters(network, kind, 1)
    keeps = {FIRST_GROUP[kind]: np.arange(5) != 3}
    inputs = NORMALISATION(jnp.asarray(images))
    expected = np.asarray(logits(network, inputs))
    found = refitted(RefitAims(network, NORMALISATION, images), network, keeps)
    np.testing.assert_allclose(logits(prune(found, keeps), inputs), expected, atol=2e-3)
    assert np.abs(np.asarray(logits(network, inputs, keeps)) - expected).max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_logits_come_closer_than_compensation_alone_brings_them(kind, images, everywhere):
    network = built(kind)
    groups = [group.name for group in network.filter_groups]
    compensation = Compensation("linear", gather_moments(network, NORMALISATION, images, groups))
    inputs = NORMALISATION(jnp.asarray(images))
    expected = np.asarray(logits(network, inputs))

    def error(other, keeps):
        return float(np.mean((np.asarray(logits(other, inputs, keeps)) - expected) ** 2))

    for seed in range(2):
        keeps = drawn_keeps(network, seed)
        folded = compensated(network, keeps, compensation)
        found = refitted(RefitAims(network, NORMALISATION, images), folded, keeps)
        assert error(found, keeps) < error(folded, keeps)


@pytest.mark.slow
def test_a_shortcut_with_a_stride_is_refitted(images):
    """ResNets have readers that see every second place only."""
    network = filled(RESNET, 1)
    keeps = drawn_keeps(network, 5)
    found = refitted(RefitAims(network, NORMALISATION, images), network, keeps)
    inputs = NORMALISATION(jnp.asarray(images))
    expected = np.asarray(logits(network, inputs))
    refit_error, masked_error = (
        np.mean((np.asarray(logits(other, inputs, keeps)) - expected) ** 2) for other in (found, network)
    )
    assert refit_error < masked_error
    np.testing.assert_allclose(logits(prune(found, keeps), inputs), logits(found, inputs, keeps), atol=1e-4)


def test_what_cannot_be_refitted_is_refused(images):
    network = built("plain")
    keeps = {"fc1": np.arange(7) != 6}
    with pytest.raises(CompensationError, match="needs images of the training split"):
        RefitAims(network, NORMALISATION, images[:0])
    with pytest.raises(PruningError, match="no layer 'fc9'"):
        refitted(RefitAims(network, NORMALISATION, images), network, {"fc9": keeps["fc1"]})
    arrays = arrays_of(network)
    arrays["conv1_2.convolution.bias"] = np.full_like(arrays["conv1_2.convolution.bias"], np.inf)
    set_arrays(network, arrays)
    with pytest.raises(CompensationError, match="needs finite activations"):
        refitted(RefitAims(network, NORMALISATION, images), network, keeps)
