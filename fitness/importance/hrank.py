"""Importance by the rank of a filter's feature maps: maps of low rank hold little information.

Lin et al. 2020, "HRank: Filter Pruning using High-Rank Feature Map" (CVPR), arXiv:2002.10179. The paper finds
that the mean rank of a filter's maps hardly depends on the images, and takes the mean over 500.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from engine.layout import Layout
from fitness.evaluation.division import PADDING
from fitness.importance.batchwise import batchwise
from fitness.importance.contract import ImportanceError, Subject
from fitness.importance.layers import joined, normalised
from models.contract import Network

IMAGES = 500
"""Most images of the subject. A rank needs a singular value decomposition of each map."""

BATCH = 16
"""Images at a time."""


def hrank(subject: Subject, *, batch: int = BATCH) -> np.ndarray:
    """Mean rank of a filter's feature maps over images, in front of pooling and flattening.

    Maps have the rank that :func:`jax.numpy.linalg.matrix_rank` finds in float32. A map of one number has rank 0
    or 1, and so has a neuron of a dense layer. For channels tied by a shortcut, the mean runs over their maps in
    all layers too. The paper ranks within a layer, because larger maps have higher ranks. The means of a layer
    are divided by their own L2 norm, as in :func:`fitness.importance.magnitude.magnitude`.

    Raises:
        ImportanceError: a layer has no maps that can be found, or its maps are not finite.
    """
    layout, few = subject.layout, subject.sample(IMAGES)
    sums = layout.split(np.zeros(layout.n_filters))
    for found, labels in batchwise(few, _ranks, batch):
        missing = [name for name in layout.names if name not in found]
        if missing:
            raise ImportanceError(
                f"hrank finds no feature maps of layer {missing[0]!r} of "
                f"{subject.model.network.architecture.name}; choose another method, such as taylor or magnitude."
            )
        for name, ranks in found.items():
            sums[name] += ranks[labels != PADDING].sum(axis=0, dtype=np.float64)
    return joined(subject, normalised({name: total / len(few.images) for name, total in sums.items()}))


def _ranks(layout: Layout, network: Network, inputs: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
    """Group -> ``float32[b, group size]``: mean rank of the maps of each image."""
    maps: dict[str, list[jax.Array]] = {}
    carry = inputs
    for stage in network.stages:
        for name, made in stage.maps(carry).items():
            maps.setdefault(name, []).extend(made)
        carry = stage(carry, {})
    return {name: mean_rank(maps[name]) for name in layout.names if name in maps}


def mean_rank(maps: Iterable[jax.Array]) -> jax.Array:
    """Mean rank ``float32[b, c]`` of maps ``float32[b, ..., c]``; NaN for a map that is not finite."""
    found = []
    for each in maps:
        by_channel = jnp.moveaxis(each, -1, 1)
        rows = by_channel.reshape(*by_channel.shape[:2], -1, by_channel.shape[-1] if each.ndim > 2 else 1)
        finite = jnp.isfinite(rows).all(axis=(2, 3))
        found.append(jnp.where(finite, jnp.linalg.matrix_rank(rows), jnp.nan))
    return jnp.stack(found).mean(axis=0)
