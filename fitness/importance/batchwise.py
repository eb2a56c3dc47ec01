"""Passing a subject's images through its network batch by batch, with probes on the filters asked about."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from engine.layout import Layout
from fitness.batches import Batches
from fitness.importance.contract import Subject
from models.normalisation import Normalisation

BATCH = 64
"""Images at once; what is held of them is all activations of the network."""

Program = Callable[..., Any]
"""Of filters, network, normalised images ``float32[b, ...]``, labels ``int32[b]`` and others: a pytree.

Images of the padded tail are labelled :data:`fitness.batches.PADDING`.
"""


def batchwise(subject: Subject, program: Program, batch: int, *others: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """What ``program`` makes of each batch and ``others``, pytrees, as NumPy arrays; and the labels ``int32[b]``.

    A program that is not made anew for each call is compiled once for a network, whichever methods use it.
    """
    graph, state = nnx.split(subject.model.network)
    batches = Batches.of(subject.images, subject.labels, batch)
    for images, labels in zip(batches.images, batches.labels, strict=True):
        found = _run(program, subject.layout, graph, subject.model.normalisation, state, images, labels, others)
        yield jax.device_get(found), labels


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _run(
    program: Program,
    layout: Layout,
    graph: Any,
    normalisation: Normalisation,
    state: Any,
    images: jax.Array,
    labels: jax.Array,
    others: tuple[Any, ...],
) -> Any:
    return program(layout, nnx.merge(graph, state), normalisation(images), labels, *others)
