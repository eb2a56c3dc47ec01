"""The Optax chain against arithmetic by hand, on a kernel and a bias."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from models.training.optimizer import learning_rates, make_optimizer
from models.training.settings import TrainingSettings

RNG = np.random.default_rng(0)
WEIGHTS = {"kernel": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2)}
GRADIENTS = [{name: RNG.normal(size=array.shape) for name, array in WEIGHTS.items()} for _ in range(3)]
BARE = {"schedule": "constant", "warmup_epochs": 0, "learning_rate": 0.2, "weight_decay": 0.0, "clip_norm": 0.0}


def floats(tree):
    return {name: jnp.asarray(array, jnp.float32) for name, array in tree.items()}


def updates_of(**values):
    """The updates of three steps, weights held where they are."""
    settings = TrainingSettings(epochs=1, **{**BARE, **values})
    optimizer = make_optimizer(settings, learning_rates(settings, 3))
    state, found = optimizer.init(floats(WEIGHTS)), []
    for gradients in GRADIENTS:
        updates, state = optimizer.update(floats(gradients), state, floats(WEIGHTS))
        found.append(updates)
    return found


def assert_updates(found, expected):
    for updates, wanted in zip(found, expected, strict=True):
        for name, array in wanted.items():
            np.testing.assert_allclose(updates[name], array, rtol=1e-5, atol=1e-7)


def test_plain_sgd_is_the_rate_times_the_gradient():
    expected = [{name: -0.2 * array for name, array in step.items()} for step in GRADIENTS]
    assert_updates(updates_of(momentum=0.0), expected)
    assert_updates(updates_of(momentum=0.0, nesterov=False), expected)


@pytest.mark.parametrize("nesterov", [True, False])
def test_momentum_classical_and_nesterovs(nesterov):
    velocity = {name: np.zeros(array.shape) for name, array in WEIGHTS.items()}
    expected = []
    for step in GRADIENTS:
        velocity = {name: 0.8 * velocity[name] + step[name] for name in step}
        ahead = {name: step[name] + 0.8 * velocity[name] for name in step} if nesterov else velocity
        expected.append({name: -0.2 * array for name, array in ahead.items()})
    assert_updates(updates_of(momentum=0.8, nesterov=nesterov), expected)


def test_clipping_scales_to_the_norm_and_can_be_off():
    expected = []
    for step in GRADIENTS:
        norm = np.sqrt(sum(np.sum(array**2) for array in step.values()))
        assert norm > 0.5
        expected.append({name: -0.2 * array * 0.5 / norm for name, array in step.items()})
    assert_updates(updates_of(momentum=0.0, clip_norm=0.5), expected)


def test_kernels_alone_decay():
    expected = [
        {"kernel": -0.2 * (step["kernel"] + 0.1 * WEIGHTS["kernel"]), "bias": -0.2 * step["bias"]}
        for step in GRADIENTS
    ]
    assert_updates(updates_of(momentum=0.0, weight_decay=0.1), expected)


def test_adamw_without_decay_is_adam():
    adam = optax.adam(0.2)
    state, expected = adam.init(floats(WEIGHTS)), []
    for gradients in GRADIENTS:
        updates, state = adam.update(floats(gradients), state)
        expected.append(updates)
    assert_updates(updates_of(optimizer="adamw"), expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"schedule": "constant", "warmup_epochs": 1}, [0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4]),
        ({"schedule": "constant", "warmup_epochs": 0}, [0.4] * 8),
        ({"warmup_epochs": 1}, [0, 0.1, 0.2, 0.3, *(0.2 + 0.2 * np.cos(np.pi * np.arange(4) / 4))]),
        ({"warmup_epochs": 0}, 0.2 + 0.2 * np.cos(np.pi * np.arange(8) / 8)),
    ],
)
def test_learning_rates(values, expected):
    rates = learning_rates(TrainingSettings(epochs=2, learning_rate=0.4, **values), 4)
    np.testing.assert_allclose([float(rates(step)) for step in range(8)], expected, atol=1e-6)
