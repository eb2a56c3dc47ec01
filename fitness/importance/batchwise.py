"""Runs a subject's images through its network, batch by batch."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from engine.layout import Layout
from fitness.evaluation.division import Batches
from fitness.importance.contract import Subject
from models.normalisation import Normalisation

BATCH = 64
"""Images of a batch. All activations of a batch are held at once."""

Program = Callable[..., Any]
"""Maps the layout, network, normalised images ``float32[b, ...]``, labels ``int32[b]`` and others to a pytree.

Images of the padded tail are labelled :data:`fitness.evaluation.division.PADDING`.
"""


def batchwise(subject: Subject, program: Program, batch: int, *others: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """The results of ``program`` for each batch, as pytrees of NumPy arrays, and the labels ``int32[b]``.

    A program that is a function of a module is compiled once for all networks of equal structure.
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
