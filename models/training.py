"""Training a network with Optax: warm-up, cosine decay, gradient clipping, weight decay on kernels only."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from models.augmentation import AUGMENTATIONS
from models.errors import TrainingError
from models.normalisation import Normalisation
from models.stages import Network


@dataclass(frozen=True)
class TrainingSettings:
    """How to train. ``learning_rate`` is the peak, reached after ``warmup_epochs`` and decayed by cosine.

    Defaults: SGD with Nesterov momentum, the recipe that trains a VGG without batch norm (He initialisation,
    an epoch of warm-up and gradients clipped to norm 1; without these it stays at chance).

    Raises:
        TrainingError: a value out of its range.
    """

    epochs: int = 12
    batch_size: int = 128
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.05
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip_norm: float = 1.0
    augmentation: str = "crop-flip"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise TrainingError(
                f"--epochs and --batch-size must be 1 or more, not {self.epochs} and {self.batch_size}."
            )
        if not self.learning_rate > 0 or not self.clip_norm > 0:
            raise TrainingError(
                f"--learning-rate and --clip-norm must be above 0, not {self.learning_rate} and {self.clip_norm}."
            )
        amounts = (self.weight_decay, self.warmup_epochs, self.learning_rate, self.clip_norm)
        if not 0 <= self.momentum < 1 or not np.isfinite(amounts).all() or min(amounts) < 0:
            raise TrainingError(
                "momentum must be in [0, 1); --weight-decay, --warmup-epochs, --learning-rate and --clip-norm "
                "finite and 0 or more."
            )
        if not 0 <= self.seed < 2**63:
            raise TrainingError(f"--seed must be from 0 to 2**63 - 1, not {self.seed}.")
        if self.optimizer not in ("sgd", "adamw") or self.augmentation not in AUGMENTATIONS:
            raise TrainingError(
                f"--optimizer is sgd or adamw and --augmentation one of {', '.join(AUGMENTATIONS)}, "
                f"not {self.optimizer!r} and {self.augmentation!r}."
            )


class Progress(NamedTuple):
    """What training reports after a step: means of loss and accuracy over the epoch so far."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float


def make_optimizer(settings: TrainingSettings, steps_per_epoch: int) -> optax.GradientTransformation:
    """The Optax chain for these settings."""
    total = settings.epochs * steps_per_epoch
    warmup = min(round(settings.warmup_epochs * steps_per_epoch), total // 2)
    schedule = optax.warmup_cosine_decay_schedule(0.0, settings.learning_rate, warmup, total)
    clip = optax.clip_by_global_norm(settings.clip_norm)
    if settings.optimizer == "adamw":
        adamw = optax.adamw(schedule, weight_decay=settings.weight_decay, mask=_kernels)
        return optax.chain(clip, adamw)
    return optax.chain(
        clip,
        optax.add_decayed_weights(settings.weight_decay, mask=_kernels),
        optax.sgd(schedule, momentum=settings.momentum, nesterov=True),
    )


def _kernels(parameters: Any) -> Any:
    """True for arrays of two or more dimensions: biases and batch norm are not decayed."""
    return jax.tree.map(lambda array: array.ndim > 1, parameters)


def train(
    network: Network,
    normalisation: Normalisation,
    images: np.ndarray,
    labels: np.ndarray,
    settings: TrainingSettings,
    on_step: Callable[[Progress], None] | None = None,
) -> None:
    """Train ``network`` in place.

    Args:
        network: a Flax NNX module.
        normalisation: applied on the device.
        images: ``uint8[n, height, width, channels]``.
        labels: ``int32[n]``, below the number of classes.
        settings: see :class:`TrainingSettings`.
        on_step: called now and then with the progress.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    batch = min(settings.batch_size, len(images))
    steps = len(images) // batch
    optimizer = make_optimizer(settings, steps)
    # Others are the random states of a module of the user's own.
    graph, *states = nnx.split(network, nnx.Param, nnx.BatchStat, ...)
    others = states.pop()
    step = jax.jit(
        partial(_step, graph, others, optimizer, normalisation, AUGMENTATIONS[settings.augmentation]),
        donate_argnums=(0, 1, 2),
    )
    # The arrays are donated to the step; the caller's network must not lose its own on the way.
    parameters, statistics = jax.tree.map(jnp.copy, states)
    optimizer_state = optimizer.init(parameters)
    order = np.random.default_rng(settings.seed)
    key = jax.random.key(settings.seed)
    for epoch in range(1, settings.epochs + 1):
        permutation = order.permutation(len(images))
        losses: list[jax.Array] = []
        hits: list[jax.Array] = []
        started = perf_counter()
        for index in range(steps):
            rows = permutation[index * batch : (index + 1) * batch]
            key, step_key = jax.random.split(key)
            parameters, statistics, optimizer_state, loss, correct = step(
                parameters, statistics, optimizer_state, step_key, images[rows], labels[rows]
            )
            losses.append(loss)
            hits.append(correct)
            # Reading a loss waits for the device, so it is done only now and then.
            if (index + 1) % 20 == 0 or index + 1 == steps:
                mean_loss = float(jnp.mean(jnp.stack(losses)))
                accuracy = float(jnp.sum(jnp.stack(hits))) / ((index + 1) * batch)
                if not np.isfinite(mean_loss):
                    raise TrainingError(
                        f"the loss is {mean_loss} in epoch {epoch}; lower --learning-rate "
                        f"(now {settings.learning_rate}) or --clip-norm (now {settings.clip_norm})."
                    )
                if on_step is not None:
                    speed = (index + 1) * batch / (perf_counter() - started)
                    report = Progress(epoch, settings.epochs, index + 1, steps, mean_loss, accuracy, speed)
                    on_step(report)
    nnx.update(network, parameters, statistics)


def _step(
    graph: Any,
    others: Any,
    optimizer: optax.GradientTransformation,
    normalisation: Normalisation,
    augmentations: tuple[Callable[[jax.Array, jax.Array], jax.Array], ...],
    parameters: Any,
    statistics: Any,
    optimizer_state: Any,
    key: jax.Array,
    images: jax.Array,
    labels: jax.Array,
) -> tuple[Any, Any, Any, jax.Array, jax.Array]:
    """One update; also the loss and the number of correct answers on the augmented batch."""
    keys = jax.random.split(key, 1 + len(augmentations))
    inputs = normalisation(images)
    for augment, augmentation_key in zip(augmentations, keys[1:], strict=True):
        inputs = augment(augmentation_key, inputs)

    def loss_of(parameters: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
        # Batch norm and dropout write to their variables, which therefore must be made inside this trace.
        network = nnx.merge(graph, parameters, *jax.tree.map(jnp.asarray, (statistics, others)))
        logits = network(inputs, training=True, rngs=nnx.Rngs(dropout=keys[0]))
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        correct = jnp.sum(jnp.argmax(logits, axis=-1) == labels)
        return loss, (nnx.state(network, nnx.BatchStat), correct)

    (loss, (statistics, correct)), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters)
    updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
    return optax.apply_updates(parameters, updates), statistics, optimizer_state, loss, correct
