"""The training loop: augmentation, loss and update in one compiled step."""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from models.augmentation import AUGMENTATIONS, Augmentation
from models.dependency.random_states import make_random_states
from models.errors import TrainingError
from models.normalisation import Normalisation
from models.optimizer import learning_rates, make_optimizer
from models.sensitivity import SensitivityRule, SensitivityTracker
from models.stages import Keeps, Network
from models.training_settings import TrainingSettings


class Progress(NamedTuple):
    """What training reports after a step: means of loss and accuracy over the epoch so far."""

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
    """Train ``network`` in place, from the weights that it has.

    Args:
        network: a Flax NNX module.
        normalisation: applied on the device.
        images: ``uint8[n, height, width, channels]``.
        labels: ``int32[n]``, below the number of classes.
        settings: see :class:`TrainingSettings`.
        on_step: called now and then with the progress.
        sensitivity: a rule of :mod:`models.sensitivity`, to be followed on the side; the training is the same
            to the bit.

    Returns:
        The sensitivity of each kernel, by name as in :func:`models.state.arrays_of`, if a rule was given.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    batch = min(settings.batch_size, len(images))
    steps = len(images) // batch
    rates = learning_rates(settings, steps)
    optimizer = make_optimizer(settings, rates)
    make_random_states(network, settings.seed)
    # Others are the random states of a module of the user's own.
    graph, *states = nnx.split(network, nnx.Param, nnx.BatchStat, ...)
    others = states.pop()
    step = jax.jit(
        partial(training_step, graph, others, optimizer, normalisation, AUGMENTATIONS[settings.augmentation]),
        donate_argnums=(0, 1, 2),
    )
    # The arrays are donated to the step; the caller's network must not lose its own on the way.
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
                parameters, statistics, optimizer_state, step_key, images[rows], labels[rows]
            )
            if tracker is not None:
                tracker.observe(before, parameters)
            losses.append(loss)
            hits.append(correct)
            # Reading a loss waits for the device, so it is done only now and then.
            if (index + 1) % 20 == 0 or index + 1 == steps:
                # Added up here: on the device, each new number of losses would be a program to compile.
                total_loss += sum(map(float, losses))
                total_hits += sum(map(int, hits))
                losses, hits = [], []
                mean_loss = total_loss / (index + 1)
                accuracy = total_hits / ((index + 1) * batch)
                if not np.isfinite(mean_loss):
                    raise TrainingError(
                        f"the loss is {mean_loss} in epoch {epoch}; lower --learning-rate (now "
                        f"{settings.learning_rate}) or --clip-norm (now {settings.clip_norm}, 0 is no limit)."
                    )
                if on_step is not None:
                    speed = (index + 1) * batch / (perf_counter() - started)
                    report = Progress(epoch, settings.epochs, index + 1, steps, mean_loss, accuracy, speed)
                    on_step(report)
    nnx.update(network, parameters, statistics)
    return None if tracker is None else tracker.result(network)


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

    ``parameters`` and ``statistics`` are the states of ``nnx.Param`` and ``nnx.BatchStat`` of a network whose
    definition is ``graph``; ``others`` are its other states. To be compiled.
    """
    keys = jax.random.split(key, 1 + augmentation.keys)
    inputs = augmentation(keys[1:], images, normalisation)

    def loss_of(parameters: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
        # Batch norm and dropout write to their variables, which therefore must be made inside this trace.
        network = nnx.merge(graph, parameters, *jax.tree.map(jnp.asarray, (statistics, others)))
        logits = network(inputs, keeps, training=True, rngs=nnx.Rngs(dropout=keys[0]))
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        correct = jnp.sum(jnp.argmax(logits, axis=-1) == labels)
        return loss, (nnx.state(network, nnx.BatchStat), correct)

    (loss, (statistics, correct)), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters)
    updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
    return optax.apply_updates(parameters, updates), statistics, optimizer_state, loss, correct
