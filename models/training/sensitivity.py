"""Sensitivity of the loss to each weight, gathered while a network is trained.

Karnin 1990, "A simple procedure for pruning back-propagation trained neural networks", IEEE Transactions on
Neural Networks 1, 239-242, as Khanal 2018 uses it. The change of the loss if a weight went from its final value
``w_f`` to 0 is estimated from the change of the loss while the weight went from its initial value ``w_i`` to
``w_f``::

    S = sum over steps n of [dw(n)]^2 * w_f / (eta * (w_f - w_i))

Karnin derives ``dw(n)^2 / eta`` from plain gradient descent, where it equals -dw times the gradient. Under a
schedule each step is therefore divided by its own rate; for a constant eta this is the formula above. With
momentum, clipping, weight decay and AdamW, dw(n) is the change actually made: S is then the value of the
formula, but no longer the integral of the gradient. A weight that ends where it began has S = 0 (Khanal 2018),
and a step whose rate is 0 adds nothing.
"""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from models.arrays import kernels_of
from models.contract import Network

SensitivityRule = Literal["karnin", "literal"]
"""``karnin``: the formula, step by step. ``literal``: the pseudocode of Khanal 2018 to the letter, which adds
where the formula multiplies and is applied once an epoch: ``S += dw^2 + w / (eta * (w - w_i))``, with ``w`` the
weights after the epoch, ``dw`` their change over the epoch and eta the rate of the last step. The second term
depends on ``w`` alone and exceeds the first by far if eta is small; the rule is here for comparison."""


class SensitivityState(NamedTuple):
    """State of :func:`track_sensitivity`; ``initial``, ``change`` and ``total`` are trees like the weights."""

    step: jax.Array
    initial: Any
    change: Any
    total: Any


def track_sensitivity(
    learning_rate: optax.ScalarOrSchedule, rule: SensitivityRule = "karnin", steps_per_epoch: int = 1
) -> optax.GradientTransformation:
    """An Optax transformation that changes no update and accumulates the sums of the sensitivity.

    Chain it last, so that it sees the final updates. :func:`sensitivity_of` reads the result from its state.

    Args:
        learning_rate: that of the optimizer before it, a number or a schedule.
        rule: see :data:`SensitivityRule`.
        steps_per_epoch: for the literal rule.
    """

    def init(parameters: Any) -> SensitivityState:
        # Copies: the caller may donate the weights themselves to a step.
        initial = jax.tree.map(jnp.copy, parameters)
        change = jax.tree.map(jnp.zeros_like, parameters) if rule == "literal" else None
        total = jax.tree.map(jnp.zeros_like, parameters)
        return SensitivityState(jnp.zeros([], jnp.int32), initial, change, total)

    def update(updates: Any, state: SensitivityState, parameters: Any = None) -> tuple[Any, SensitivityState]:
        step, initial, change, total = state
        rate = jnp.asarray(learning_rate(step) if callable(learning_rate) else learning_rate)
        if rule == "karnin":
            total = jax.tree.map(lambda t, u: t + _quotient(u**2, rate), total, updates)
            return updates, SensitivityState(step + 1, initial, change, total)
        if parameters is None:
            raise ValueError("the literal rule needs the current weights: call update(updates, state, params).")
        change = jax.tree.map(jnp.add, change, updates)
        last = (step + 1) % steps_per_epoch == 0

        def added(t: jax.Array, c: jax.Array, w: jax.Array, u: jax.Array, i: jax.Array) -> jax.Array:
            now = w + u
            return t + jnp.where(last, c**2 + _quotient(now, rate * (now - i)), 0.0)

        total = jax.tree.map(added, total, change, parameters, updates, initial)
        change = jax.tree.map(lambda c: jnp.where(last, 0.0, c), change)
        return updates, SensitivityState(step + 1, initial, change, total)

    return optax.GradientTransformation(init, update)


def sensitivity_of(state: SensitivityState, parameters: Any, rule: SensitivityRule = "karnin") -> Any:
    """The sensitivities, a tree like ``parameters``, which are the final weights."""
    if rule == "literal":
        return state.total
    return jax.tree.map(lambda t, w, i: _quotient(t * w, w - i), state.total, parameters, state.initial)


def _quotient(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """``numerator / denominator``, and 0 where the denominator is 0 or too small for the quotient."""
    quotient = numerator / denominator
    return jnp.where(jnp.isfinite(quotient), quotient, 0.0)


class SensitivityTracker:
    """Runs :func:`track_sensitivity` beside a training step, in a program of its own.

    Inside the step's program it could change how the compiler fuses and rounds the step. In a program of its
    own it changes no bit of the training. The updates are the differences of the weights before and after a
    step.
    """

    def __init__(self, rule: SensitivityRule, rates: optax.Schedule, steps_per_epoch: int, parameters: Any):
        self._rule = rule
        transformation = track_sensitivity(rates, rule, steps_per_epoch)
        self._state = transformation.init(parameters)
        self._update = jax.jit(partial(_observe, transformation), donate_argnums=2)

    def observe(self, before: Any, after: Any) -> None:
        """The weights before and after one step."""
        self._state = self._update(before, after, self._state)

    def result(self, network: Network) -> dict[str, np.ndarray]:
        """Sensitivity of each kernel of the trained network, ``float32`` of its shape, by array name."""
        graph, *states = nnx.split(network, nnx.Param, ...)
        parameters, rest = states
        # The sensitivities take the place of the weights, so that they get the names of the weights.
        return kernels_of(nnx.merge(graph, sensitivity_of(self._state, parameters, self._rule), rest))


def _observe(
    transformation: optax.GradientTransformation, before: Any, after: Any, state: SensitivityState
) -> SensitivityState:
    updates = jax.tree.map(jnp.subtract, after, before)
    return transformation.update(updates, state, before)[1]
