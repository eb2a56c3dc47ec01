"""Importance by the first-order Taylor expansion of the loss: the estimated change of the loss without a filter.

Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference",
arXiv:1611.06440, which Almarashi 2024 follows. Squared, as in Molchanov et al. 2019, "Importance Estimation for
Neural Network Pruning", arXiv:1906.10771.

A gate of 1 is multiplied into a filter's activation. The derivative of the loss with respect to the gate is the
sum over positions of activation x gradient, which is the expansion. Gates act where channels are read, as masks
do, so a channel tied by a shortcut has the same gate at all its readers.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax

from engine.layout import Layout
from fitness.evaluation.division import PADDING
from fitness.importance.batchwise import BATCH, batchwise
from fitness.importance.contract import Subject
from fitness.importance.layers import joined, normalised
from models.contract import Gate, Network


def taylor(subject: Subject, *, batch: int = BATCH) -> np.ndarray:
    """Mean over images of |mean over positions of activation x gradient|, divided by the layer's L2 norm.

    As in the paper, the absolute value is taken for each image, not for each batch. The division makes the mean
    over positions and the sum over positions the same.
    """
    sums = subject.layout.split(np.zeros(subject.layout.n_filters))
    for changes in gate_gradients(subject, batch):
        for name, values in changes.items():
            sums[name] += np.abs(values).sum(axis=0, dtype=np.float64)
    return joined(subject, normalised({name: total / len(subject.images) for name, total in sums.items()}))


def taylor_squared(subject: Subject, *, batch: int = BATCH) -> np.ndarray:
    """Sum over images of (sum over positions of activation x gradient) squared, not normalised by layer."""
    sums = subject.layout.split(np.zeros(subject.layout.n_filters))
    for changes in gate_gradients(subject, batch):
        for name, values in changes.items():
            sums[name] += np.square(values, dtype=np.float64).sum(axis=0)
    return joined(subject, sums)


def gate_gradients(subject: Subject, batch: int = BATCH) -> Iterator[dict[str, np.ndarray]]:
    """For each batch, group -> ``float32[images, group size]``: derivatives of each image's loss by the gates.

    The loss is the cross entropy. Its estimated change without the filter is minus the derivative.
    """
    for found, labels in batchwise(subject, _gradients, batch):
        yield {name: values[labels != PADDING] for name, values in found.items()}


def _gradients(layout: Layout, network: Network, inputs: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
    sizes = zip(layout.names, layout.sizes, strict=True)
    return gate_gradients_at(
        network, inputs, labels, {name: jnp.ones((len(inputs), size)) for name, size in sizes}
    )


def gate_gradients_at(
    network: Network, inputs: jax.Array, labels: jax.Array, gates: dict[str, jax.Array]
) -> dict[str, jax.Array]:
    """Group -> ``float32[b, group size]``: derivatives of each image's loss by its ``gates``, of the same shapes.

    A gate of 1 lets a filter pass, one of 0 removes it.
    """
    # Padding has no label; any label will do, because images do not influence each other.
    targets = jnp.maximum(labels, 0)

    def loss(gates: dict[str, jax.Array]) -> jax.Array:
        logits = network(inputs, {name: Gate(values) for name, values in gates.items()})
        return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(logits, targets))

    return jax.grad(loss)(gates)
