"""Importance by distinctiveness: how much a filter's activations differ in direction from every other filter's.

Asaraf Ali, after Gedeon and Harris 1991, "Network Reduction Techniques": the activations of a unit over all
images are a vector. A unit is redundant if its vector has the direction of another unit's vector.
"""

from typing import NamedTuple

import numpy as np

from engine.errors import DataError
from fitness.importance.batchwise import BATCH
from fitness.importance.contract import ImportanceError, Subject
from fitness.importance.layers import joined
from models.compensation.moments import summed_products

DIGITS = 6
"""Decimal places of a similarity. Further places are rounding errors, which depend on the processor."""


class Twins(NamedTuple):
    """Two similar filters of a layer.

    Attributes:
        removed: the filter to remove.
        twin: the filter that can replace ``removed``.
        scale: the least-squares factor, ``activation[removed] ~ scale * activation[twin]``.
        similarity: the absolute cosine of the two; 1 if ``removed`` is never active.
    """

    removed: int
    twin: int
    scale: float
    similarity: float


def cosine(subject: Subject, *, batch: int = BATCH) -> np.ndarray:
    """1 minus the highest absolute cosine with another filter of the layer, ``float64[n_filters]`` in [0, 1].

    A filter that is never active has importance 0. The only filter of a layer has importance 1. Two similar
    filters both have a low importance. To remove only one of them, remove filters one by one
    (:func:`closest_twins`).
    """
    found = grams(subject, batch=batch)
    return joined(subject, {name: 1 - _similarities(gram).max(axis=1, initial=0) for name, gram in found.items()})


def grams(subject: Subject, *, batch: int = BATCH) -> dict[str, np.ndarray]:
    """Group -> ``float64[c, c]``: inner products of the activations of its channels.

    The sum runs over images, positions and all weights that are known to read the group. Channels of a group
    that no known weights read have no direction in common.

    Raises:
        DataError: there are no images.
        ImportanceError: no weights that read a layer are known.
    """
    network, layout = subject.model.network, subject.layout
    if len(subject.images) == 0:
        raise DataError("there are no images to compare activations on; give more with `images`.")
    sums: dict[str, np.ndarray] = {}
    normalisation = subject.model.normalisation
    for _, reader, products in summed_products(network, normalisation, subject.images, layout.names, batch):
        found = products[:-1, :-1]
        sums[reader.group] = sums[reader.group] + found if reader.group in sums else found
    if not sums:
        raise ImportanceError(
            f"activations of {network.architecture.name} cannot be compared: it has no weights that are known to "
            "read its filters; choose another method, such as taylor or magnitude."
        )
    sizes = zip(layout.names, layout.sizes, strict=True)
    return {name: sums[name] if name in sums else np.eye(size) for name, size in sizes}


def closest_twins(gram: np.ndarray, keep: np.ndarray) -> Twins:
    """The two most similar of the kept filters. As in the document, the first of the two is to be removed.

    Of equally similar pairs, the pair with the lowest numbers is taken.

    Args:
        gram: ``float64[c, c]``, see :func:`grams`.
        keep: ``bool[c]``, True = keep; filters that were removed before are not compared.

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


def _similarities(gram: np.ndarray) -> np.ndarray:
    """Absolute cosines ``float64[c, c]`` with :data:`DIGITS` decimal places.

    -1 on the diagonal; 1 in the rows of filters that are never active.
    """
    norms = np.sqrt(np.diag(gram))
    active = norms > 0
    lengths = np.where(active, norms, 1)
    similar = np.minimum(np.abs(gram) / lengths[:, None] / lengths, 1)
    similar[~active] = 1
    similar = np.round(similar, DIGITS)
    np.fill_diagonal(similar, -1)
    return similar
