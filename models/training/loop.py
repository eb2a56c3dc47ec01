"""The training loop: augmentation, loss and update in one compiled step."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from models.contract import Keeps, Network
from models.errors import TrainingError
from models.normalisation import Normalisation
from models.tracing.network import make_random_states
from models.training.augmentation import AUGMENTATIONS, Augmentation
from models.training.optimizer import learning_rates, make_optimizer
from models.training.sensitivity import SensitivityRule, SensitivityTracker
from models.training.settings import TrainingSettings


class Progress(NamedTuple):
    """The progress of training after a step: mean loss and accuracy over the epoch so far."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float


def train(
    network: Network,
    normalisation: Normalisation,
    images: np.ndarray,
    labels: np.ndarray,
    settings: TrainingSettings,
    on_step: Callable[[Progress], None] | None = None,
    *,
    sensitivity: SensitivityRule | None = None,
) -> dict[str, np.ndarray] | None:
    """Train ``network`` in place, starting from its present weights.

    Args:
        network: a Flax NNX module.
        normalisation: applied on the device.
        images: ``uint8[n, height, width, channels]``.
        labels: ``int32[n]``, below the number of classes.
        settings: of the training.
        on_step: called with the progress every 20 steps and at the end of each epoch.
        sensitivity: a rule of :mod:`models.training.sensitivity`; following it changes no bit of the training.

    Returns:
        The sensitivity of each weight, by kernel name as in :func:`models.arrays.arrays_of`, if a rule was given.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    batch = min(settings.batch_size, len(images))
    steps = len(images) // batch
    make_random_states(network, settings.seed)
    # The other states are random states of a user's own module.
    graph, *states = nnx.split(network, nnx.Param, nnx.BatchStat, ...)
    others = states.pop()
    rates, optimizer, step = _program_of(graph, replace(settings, seed=0), steps, normalisation)
    # The arrays are donated to the step, and the caller's network must keep its own.
    parameters, statistics = jax.tree.map(jnp.copy, states)
    optimizer_state = optimizer.init(parameters)
    tracker = None if sensitivity is None else SensitivityTracker(sensitivity, rates, steps, parameters)
    order = np.random.default_rng(settings.seed)
    key = jax.random.key(settings.seed)
    for epoch in range(1, settings.epochs + 1):
        permutation = order.permutation(len(images))
        losses: list[jax.Array] = []
        hits: list[jax.Array] = []
        total_loss, total_hits = 0.0, 0
        started = perf_counter()
        for index in range(steps):
            rows = permutation[index * batch : (index + 1) * batch]
            key, step_key = jax.random.split(key)
            before = None if tracker is None else jax.tree.map(jnp.copy, parameters)
            parameters, statistics, optimizer_state, loss, correct = step(
                others, parameters, statistics, optimizer_state, step_key, images[rows], labels[rows]
            )
            if tracker is not None:
                tracker.observe(before, parameters)
            losses.append(loss)
            hits.append(correct)
            # Reading a loss waits for the device, so that it is done only every 20 steps.
            if (index + 1) % 20 == 0 or index + 1 == steps:
                # Summed on the host: on the device, each new number of losses would compile a new program.
                total_loss += sum(map(float, losses))
                total_hits += sum(map(int, hits))
                losses, hits = [], []
                mean_loss = total_loss / (index + 1)
                accuracy = total_hits / ((index + 1) * batch)
                if not np.isfinite(mean_loss):
                    raise TrainingError(
                        f"the loss is {mean_loss} in epoch {epoch}; lower `learning_rate` (now "
                        f"{settings.learning_rate}) or `clip_norm` (now {settings.clip_norm}, 0 is no limit)."
                    )
                if on_step is not None:
                    speed = (index + 1) * batch / (perf_counter() - started)
                    report = Progress(epoch, settings.epochs, index + 1, steps, mean_loss, accuracy, speed)
                    on_step(report)
    nnx.update(network, parameters, statistics)
    return None if tracker is None else tracker.result(network)


class _Program(NamedTuple):
    rates: optax.Schedule
    optimizer: optax.GradientTransformation
    step: Callable[..., tuple[Any, Any, Any, jax.Array, jax.Array]]


def _program_of(graph: Any, *arguments: Any) -> _Program:
    try:
        hash(graph)
    except TypeError:
        # Attributes of a user's own module may be anything.
        return _program.__wrapped__(graph, *arguments)
    return _program(graph, *arguments)


@lru_cache(maxsize=4)
def _program(graph: Any, settings: TrainingSettings, steps: int, normalisation: Normalisation) -> _Program:
    """The step for networks of the definition ``graph``; a few are kept for the next such trainings."""
    rates = learning_rates(settings, steps)
    optimizer = make_optimizer(settings, rates)
    augmentation = AUGMENTATIONS[settings.augmentation]

    def step(others: Any, *arguments: Any) -> tuple[Any, Any, Any, jax.Array, jax.Array]:
        return training_step(graph, others, optimizer, normalisation, augmentation, *arguments)

    return _Program(rates, optimizer, jax.jit(step, donate_argnums=(1, 2, 3)))


def training_step(
    graph: Any,
    others: Any,
    optimizer: optax.GradientTransformation,
    normalisation: Normalisation,
    augmentation: Augmentation,
    parameters: Any,
    statistics: Any,
    optimizer_state: Any,
    key: jax.Array,
    images: jax.Array,
    labels: jax.Array,
    keeps: Keeps | None = None,
) -> tuple[Any, Any, Any, jax.Array, jax.Array]:
    """One update, under masks if any; also the loss and the number of correct answers on the augmented batch.

    ``parameters`` and ``statistics`` are the states of ``nnx.Param`` and ``nnx.BatchStat`` of a network with the
    definition ``graph``; ``others`` are its other states. The caller compiles it.
    """
    keys = jax.random.split(key, 1 + augmentation.keys)
    inputs = augmentation(keys[1:], images, normalisation)

    def loss_of(parameters: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
        # Batch norm and dropout write to their variables, so these must be made inside this trace.
        network = nnx.merge(graph, parameters, *jax.tree.map(jnp.asarray, (statistics, others)))
        logits = network(inputs, keeps, training=True, rngs=nnx.Rngs(dropout=keys[0]))
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        correct = jnp.sum(jnp.argmax(logits, axis=-1) == labels)
        return loss, (nnx.state(network, nnx.BatchStat), correct)

    (loss, (statistics, correct)), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters)
    updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
    return optax.apply_updates(parameters, updates), statistics, optimizer_state, loss, correct
