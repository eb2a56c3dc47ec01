"""Passing a subject's images through its network batch by batch, with probes on the filters asked about."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from flax import nnx

from fitness.batches import Batches
from fitness.importance.contract import Subject
from models.stages import Network

BATCH = 64
"""Images at once; what is held of them is all activations of the network."""

Program = Callable[[Network, jax.Array, jax.Array], Any]
"""Of the network, normalised images ``float32[b, ...]`` and labels ``int32[b]``, makes a pytree of arrays.

Images of the padded tail are labelled :data:`fitness.batches.PADDING`.
"""


def batchwise(subject: Subject, program: Program, batch: int) -> Iterator[tuple[Any, np.ndarray]]:
    """What ``program``, compiled once, makes of each batch, as NumPy arrays; and the labels ``int32[b]``."""
    graph, state = nnx.split(subject.model.network)

    @jax.jit
    def compiled(state: Any, images: jax.Array, labels: jax.Array) -> Any:
        return program(nnx.merge(graph, state), subject.model.normalisation(images), labels)

    batches = Batches.of(subject.images, subject.labels, batch)
    for images, labels in zip(batches.images, batches.labels, strict=True):
        yield jax.device_get(compiled(state, images, labels)), labels
