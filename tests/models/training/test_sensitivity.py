"""Karnin's sensitivity against plain NumPy, on Optax alone and on recorded training runs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from models.arrays import arrays_of, kernels_of
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation
from models.training.loop import train
from models.training.sensitivity import SensitivityTracker, sensitivity_of, track_sensitivity
from models.training.settings import TrainingSettings

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (96, 8, 8, 1), dtype=np.uint8)
LABELS = RNG.integers(0, 2, 96).astype(np.int32)
NORMALISATION = Normalisation.of_images(IMAGES)
STEPS, EPOCHS = 3, 4


def build(batch_norm=False):
    return VGGArchitecture("any", ((3,),), (5,), 2, (8, 8, 1), batch_norm, 0.1).build(2)


def settings(**values):
    return TrainingSettings(epochs=EPOCHS, batch_size=32, **values)


def run_recorded(monkeypatch, chosen, rule):
    """Names -> weights before the first and after each step, ``[1 + steps, ...]``; and what ``train`` returned."""
    observe = SensitivityTracker.observe
    seen = []

    def recorded(tracker, before, after):
        trees = [after] if seen else [before, after]
        seen.extend([np.array(leaf) for leaf in jax.tree.leaves(tree)] for tree in trees)
        observe(tracker, before, after)

    monkeypatch.setattr(SensitivityTracker, "observe", recorded)
    network = build()
    found = train(network, NORMALISATION, IMAGES, LABELS, chosen, sensitivity=rule)
    weights = {}
    for name, kernel in kernels_of(network).items():
        [place] = [i for i, leaf in enumerate(seen[-1]) if np.array_equal(leaf, kernel)]
        weights[name] = np.array([leaves[place] for leaves in seen], np.float64)
    return weights, found


def cosine_rates(peak):
    """The default schedule by hand: an epoch of warm-up, then half a cosine."""
    steps = np.arange(STEPS * EPOCHS)
    decay = 0.5 * (1 + np.cos(np.pi * (steps - STEPS) / (STEPS * (EPOCHS - 1))))
    return peak * np.where(steps < STEPS, steps / STEPS, decay)


@pytest.mark.parametrize(
    ("values", "rates"),
    [
        ({"schedule": "constant", "warmup_epochs": 0, "momentum": 0.0}, np.full(STEPS * EPOCHS, 0.05)),
        ({"optimizer": "adamw", "learning_rate": 0.002}, cosine_rates(0.002)),
    ],
)
def test_sensitivity_equals_a_numpy_replay_of_the_run(monkeypatch, values, rates):
    weights, found = run_recorded(monkeypatch, settings(**values), "karnin")
    assert found.keys() == weights.keys()
    for name, history in weights.items():
        assert len(history) == 1 + STEPS * EPOCHS
        changes = np.diff(history, axis=0)
        total = np.zeros(history.shape[1:])
        for change, rate in zip(changes, rates, strict=True):
            if rate > 0:
                total += change**2 / rate
        moved = history[-1] - history[0]
        expected = np.where(moved == 0, 0, total * history[-1] / np.where(moved == 0, 1, moved))
        assert found[name].dtype == np.float32
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-9)


def test_the_literal_rule_equals_the_documents_pseudocode(monkeypatch):
    chosen = settings(schedule="constant", warmup_epochs=0, learning_rate=0.05)
    weights, found = run_recorded(monkeypatch, chosen, "literal")
    for name, history in weights.items():
        sensitivity = np.zeros(history.shape[1:])
        for epoch in range(1, EPOCHS + 1):
            current = history[epoch * STEPS]
            change = current - history[(epoch - 1) * STEPS]
            moved = current - history[0]
            term = np.where(moved == 0, 0, current / (0.05 * np.where(moved == 0, 1, moved)))
            sensitivity = sensitivity + change**2 + term
        # w + (w' - w) is not w' to the last bit, and the term divides by a small difference.
        np.testing.assert_allclose(found[name], sensitivity, rtol=0.02)


@pytest.mark.parametrize(("rule", "values"), [("karnin", {}), ("literal", {"optimizer": "adamw"})])
def test_watching_changes_no_bit_of_the_training(rule, values):
    plain, watched = build(batch_norm=True), build(batch_norm=True)
    assert train(plain, NORMALISATION, IMAGES, LABELS, settings(**values)) is None
    train(watched, NORMALISATION, IMAGES, LABELS, settings(**values), sensitivity=rule)
    for name, array in arrays_of(plain).items():
        assert array.tobytes() == arrays_of(watched)[name].tobytes(), name


def test_chained_last_in_optax_it_follows_gradient_descent():
    """Gradient descent on ``sum(a * w**2 / 2)`` by hand; the third weight never moves, the fourth ends at 0."""
    curvature = np.array([1.0, 3.0, 0.0, 10.0])
    weights = np.array([0.5, -1.0, 2.0, 4.0])
    optimizer = optax.chain(optax.sgd(0.1), track_sensitivity(0.1))
    values = jnp.asarray(weights, jnp.float32)
    state = optimizer.init(values)
    total, current = np.zeros(4), weights.copy()
    for _ in range(7):
        updates, state = optimizer.update(jnp.asarray(curvature, jnp.float32) * values, state, values)
        np.testing.assert_allclose(updates, -0.1 * curvature * current, rtol=1e-5)
        values = optax.apply_updates(values, updates)
        total += (0.1 * curvature * current) ** 2 / 0.1
        current -= 0.1 * curvature * current
    expected = total * current / np.where(current == weights, 1, current - weights)
    assert expected[2] == 0
    assert expected[3] == 0
    np.testing.assert_allclose(sensitivity_of(state[-1], values), expected, rtol=1e-5)


def test_a_weight_that_returns_to_its_start_and_a_rate_of_zero_give_zero():
    tracker = track_sensitivity(lambda step: jnp.where(step == 0, 0.0, 0.5))
    start = jnp.array([1.0, 1.0])
    state = tracker.init(start)
    for updates in ([0.0, 0.0], [0.25, 0.25], [-0.25, 0.25]):
        _, state = tracker.update(jnp.array(updates), state)
    np.testing.assert_array_equal(sensitivity_of(state, start + jnp.array([0.0, 0.5])), [0, 0.25 * 1.5 / 0.5])


def test_the_literal_rule_needs_the_weights():
    tracker = track_sensitivity(0.1, "literal")
    with pytest.raises(ValueError, match="params"):
        tracker.update(jnp.ones(2), tracker.init(jnp.ones(2)))
