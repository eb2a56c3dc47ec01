"""Many short trainings of one network under different masks, by programs that are compiled once.

Training the result of :func:`models.pruning.prune` gives the same weights, but compiles a program for each
shape, and a small network with small batches spends most of its time between steps. Here the masks are inputs
of the program, and a whole epoch is one call.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.contract import Keeps, Network
from models.errors import TrainingError
from models.normalisation import Normalisation
from models.training.augmentation import AUGMENTATIONS
from models.training.loop import training_step
from models.training.optimizer import learning_rates, make_optimizer
from models.training.settings import TrainingSettings


class Epoch(NamedTuple):
    """A finished epoch, counted from 1, with the mean of loss and accuracy on its augmented images."""

    number: int
    loss: float
    accuracy: float


class MaskedTrainer:
    """Trains networks of one architecture on one set of images.

    Args:
        network: of this architecture.
        normalisation: applied on the device.
        images: ``uint8[n, height, width, channels]``; they stay on the device.
        labels: ``int32[n]``, below the number of classes.
        settings: of each training; ``epochs`` decides the schedule of the rates.
    """

    def __init__(
        self,
        network: Network,
        normalisation: Normalisation,
        images: np.ndarray,
        labels: np.ndarray,
        settings: TrainingSettings,
    ):
        self._settings = settings
        self._batch = min(settings.batch_size, len(images))
        self._steps = len(images) // self._batch
        self._images, self._labels = jnp.asarray(images), jnp.asarray(labels)
        self._optimizer = make_optimizer(settings, learning_rates(settings, self._steps))
        # The other states are random states of a user's own module.
        graph, *states = nnx.split(network, nnx.Param, nnx.BatchStat, ...)
        others, augmentation = states.pop(), AUGMENTATIONS[settings.augmentation]
        step = partial(training_step, graph, others, self._optimizer, normalisation, augmentation)
        self._epoch = jax.jit(partial(_epoch, step))
        self._count = jax.jit(partial(_count, graph, others, normalisation))

    def epochs(self, network: Network, keeps: Keeps, seed: int) -> Iterator[Epoch]:
        """Train ``network`` in place, starting from its present weights; each epoch updates it.

        The weights that ``keeps`` leave become, up to rounding, the weights that
        :func:`models.training.loop.train` gives the pruned network with this seed.

        Args:
            network: of the architecture given before.
            keeps: group name -> ``bool[group size]``, True = keep; other groups than in the last call
                compile the programs again.
            seed: decides the order of the images, augmentation and dropout.

        Raises:
            TrainingError: the loss is no longer finite.
        """
        parameters, statistics = nnx.state(network, nnx.Param), nnx.state(network, nnx.BatchStat)
        state = (parameters, statistics, self._optimizer.init(parameters))
        order, key = np.random.default_rng(seed), jax.random.key(seed)
        for number in range(1, self._settings.epochs + 1):
            rows = order.permutation(len(self._images))[: self._steps * self._batch]
            batches = rows.reshape(self._steps, self._batch)
            state, key, losses, hits = self._epoch(state, key, self._images, self._labels, batches, keeps)
            loss = float(np.mean(np.asarray(losses), dtype=np.float64))
            if not np.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} in epoch {number}; lower `learning_rate` (now "
                    f"{self._settings.learning_rate})."
                )
            parameters, statistics, _ = state
            nnx.update(network, parameters, statistics)
            yield Epoch(number, loss, int(np.asarray(hits).sum()) / len(rows))

    def accuracy(self, network: Network, keeps: Keeps, images: np.ndarray, labels: np.ndarray) -> float:
        """Accuracy, 0 to 1, of a network under masks on ``uint8[n, ...]`` and ``int32[n]``."""
        states = nnx.state(network, nnx.Param), nnx.state(network, nnx.BatchStat)
        return int(self._count(states, keeps, images, labels)) / len(labels)


def _epoch(
    step: Any,
    state: tuple[Any, Any, Any],
    key: jax.Array,
    images: jax.Array,
    labels: jax.Array,
    batches: jax.Array,
    keeps: Keeps,
) -> tuple[tuple[Any, Any, Any], jax.Array, jax.Array, jax.Array]:
    """All steps of an epoch: ``batches`` are rows ``int[steps, batch]``; losses and hits are ``[steps]``."""

    def one(carry: tuple[Any, jax.Array], rows: jax.Array) -> tuple[tuple[Any, jax.Array], Any]:
        state, key = carry
        key, step_key = jax.random.split(key)
        *state, loss, hits = step(*state, step_key, images[rows], labels[rows], keeps)
        return (tuple(state), key), (loss, hits)

    (state, key), (losses, hits) = jax.lax.scan(one, (state, key), batches)
    return state, key, losses, hits


def _count(
    graph: Any,
    others: Any,
    normalisation: Normalisation,
    states: Any,
    keeps: Keeps,
    images: jax.Array,
    labels: jax.Array,
) -> jax.Array:
    logits = nnx.merge(graph, *states, others)(normalisation(images), keeps)
    return jnp.sum(jnp.argmax(logits, axis=-1) == labels)
