"""Importance by distinctiveness: how much a filter's activations differ in direction from any other's.

Seed 002, after Gedeon and Harris 1991, "Network Reduction Techniques": a unit's activations over all images are a
vector; a unit whose vector points where another's does is redundant.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from engine.layout import Layout
from fitness.batches import PADDING
from fitness.importance.batchwise import BATCH, batchwise
from fitness.importance.contract import Subject
from fitness.importance.errors import ImportanceError
from fitness.importance.layers import joined
from models.errors import DependencyError
from models.stages import Network, Probe


class Twins(NamedTuple):
    """Two filters of a layer, of which one can stand for the other.

    ``scale``: the least-squares factor, ``activation[removed] ~ scale * activation[twin]``.
    ``similarity``: the absolute cosine of the two, 1 if ``removed`` never is active.
    """

    removed: int
    twin: int
    scale: float
    similarity: float


def cosine(subject: Subject, *, batch: int = BATCH) -> np.ndarray:
    """1 less the highest absolute cosine with another filter of the layer, ``float64[n_filters]`` in [0, 1].

    A filter that never is active has 0, the only filter of a layer 1. Of two that are alike both have a low
    importance: to remove one and keep the other, go one by one (:func:`closest_twins`) and merge
    (:mod:`models.merging`).
    """
    found = grams(subject, batch=batch)
    return joined(subject, {name: 1 - _similarities(gram).max(axis=1, initial=0) for name, gram in found.items()})


def grams(subject: Subject, *, batch: int = BATCH) -> dict[str, np.ndarray]:
    """Group -> ``float64[c, c]``: inner products of the activations of its channels where they are read.

    Summed over images and positions; over all readers, where several stages read a group.

    Raises:
        ImportanceError: the network cannot show what its layers read.
    """
    sums = {
        name: np.zeros((size, size))
        for name, size in zip(subject.layout.names, subject.layout.sizes, strict=True)
    }
    try:
        for found, _ in batchwise(subject, _products, batch):
            for name, readings in found.items():
                sums[name] += np.sum(readings, axis=0, dtype=np.float64)
    except DependencyError as error:
        raise ImportanceError(f"activations cannot be compared: {error}") from error
    return sums


def closest_twins(gram: np.ndarray, keep: np.ndarray) -> Twins:
    """The two most similar among the filters kept; as in the seed, the first of the two is the one to remove.

    Args:
        gram: ``float64[c, c]``, see :func:`grams`.
        keep: ``bool[c]``, True = keep; filters removed before are left out.

    Raises:
        ImportanceError: fewer than two filters are kept.
    """
    if np.count_nonzero(keep) < 2:
        raise ImportanceError("a layer of one filter has no twins; prune fewer units than the layer has.")
    similar = np.where(keep[:, None] & keep, _similarities(gram), -1)
    removed, twin = (int(index) for index in np.unravel_index(np.argmax(similar), similar.shape))
    norm = gram[twin, twin]
    scale = float(gram[removed, twin] / norm) if norm > 0 else 0.0
    return Twins(removed, twin, scale, float(similar[removed, twin]))


def _products(
    layout: Layout, network: Network, inputs: jax.Array, labels: jax.Array
) -> dict[str, list[jax.Array]]:
    seen: dict[str, list[jax.Array]] = {name: [] for name in layout.names}
    network(inputs, {name: _recorder(products, labels != PADDING) for name, products in seen.items()})
    return seen


def _recorder(seen: list[jax.Array], real: jax.Array) -> Probe:
    """Appends the inner products ``float32[c, c]`` of what is read of the real images."""

    def probe(carry: jax.Array) -> jax.Array:
        kept = jnp.where(real.reshape(-1, *[1] * (carry.ndim - 1)), carry, 0)
        rows = kept.reshape(-1, carry.shape[-1])
        seen.append(jnp.matmul(rows.T, rows, precision=jax.lax.Precision.HIGHEST))
        return carry

    return probe


def _similarities(gram: np.ndarray) -> np.ndarray:
    """Absolute cosines ``float64[c, c]``, -1 on the diagonal; rows of filters that never are active are 1."""
    norms = np.sqrt(np.diag(gram))
    active = norms > 0
    lengths = np.where(active, norms, 1)
    similar = np.minimum(np.abs(gram) / lengths[:, None] / lengths, 1)
    similar[~active] = 1
    np.fill_diagonal(similar, -1)
    return similar
