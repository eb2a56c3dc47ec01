"""Importance by the first-order Taylor expansion of the loss: what removing a filter is estimated to change.

Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference",
arXiv:1611.06440, which seed 000 follows. Squared, as in Molchanov et al. 2019, "Importance Estimation for
Neural Network Pruning", arXiv:1906.10771.

With a gate of 1 multiplied into a filter's activation, the derivative of the loss with respect to the gate is
the sum over positions of activation x gradient: the expansion at once, whatever reads the filter. Gates act
where channels are read, as masks do, so that a channel tied by a shortcut has one gate at all its readers.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax

from engine.layout import Layout
from fitness.batches import PADDING
from fitness.importance.batchwise import BATCH, batchwise
from fitness.importance.contract import Subject
from fitness.importance.layers import joined, normalised
from models.stages import Gate, Network


def taylor(subject: Subject, *, batch: int = BATCH) -> np.ndarray:
    """Mean over images of |mean over positions of activation x gradient|, divided by the layer's L2 norm.

    As in the paper, the absolute value is taken of each image's number, not of a batch's. The mean over
    positions and their sum are the same behind the division.
    """
    sums = subject.layout.split(np.zeros(subject.layout.n_filters))
    for changes in gate_gradients(subject, batch):
        for name, values in changes.items():
            sums[name] += np.abs(values).sum(axis=0, dtype=np.float64)
    return joined(subject, normalised({name: total / len(subject.images) for name, total in sums.items()}))


def taylor_squared(subject: Subject, *, batch: int = BATCH) -> np.ndarray:
    """Sum over images of (sum over positions of activation x gradient) squared; layers as they are."""
    sums = subject.layout.split(np.zeros(subject.layout.n_filters))
    for changes in gate_gradients(subject, batch):
        for name, values in changes.items():
            sums[name] += np.square(values, dtype=np.float64).sum(axis=0)
    return joined(subject, sums)


def gate_gradients(subject: Subject, batch: int = BATCH) -> Iterator[dict[str, np.ndarray]]:
    """For each batch, group -> ``float32[images, group size]``: derivative of an image's loss by a gate.

    The loss is the cross entropy; removing the filter is estimated to change it by minus the derivative.
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
    # The images of the padded tail have no label; any will do, for images do not influence each other.
    targets = jnp.maximum(labels, 0)

    def loss(gates: dict[str, jax.Array]) -> jax.Array:
        logits = network(inputs, {name: Gate(values) for name, values in gates.items()})
        return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(logits, targets))

    return jax.grad(loss)(gates)
