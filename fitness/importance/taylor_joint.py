"""Importance by what filters change together: Taylor expansions of the loss, taken anew as filters leave.

Removing a set of filters changes the loss of image *n* by the sum of their first-order changes ``t[n, i]``
(:mod:`fitness.importance.taylor`). Squared Taylor ranks by ``sum over n of t[n, i] ** 2``, as if each filter
left alone; but changes of filters cancel one another, and filters that are harmless one by one add up. Here
filters leave greedily, the one whose leaving keeps the squared change of all that have left smallest, after the
Combinatorial Brain Surgeon (Yu et al., ICML 2022, arXiv:2203.04466) on whole filters with the empirical Fisher
matrix. Its elements off the diagonal are taken times :data:`INTERACTION`, for they are noisier than those on it.

First-order changes hold near the network that they are taken of. So they are taken anew, without the filters that
have left so far, whenever :data:`SHARE` of those that were left have left; the change that is to be kept small is
the one since then.
"""

import jax
import jax.numpy as jnp
import numpy as np

from engine.layout import Layout
from fitness.batches import PADDING
from fitness.importance.batchwise import BATCH, batchwise
from fitness.importance.contract import Subject
from fitness.importance.layers import joined
from fitness.importance.taylor import gate_gradients_at
from models.compensation.threads import one_thread
from models.stages import Network

IMAGES = 1_000
"""Of the subject, at most: each expansion is a pass forward and backward of all of them."""

INTERACTION = 0.5
"""1 is the whole matrix, 0 its diagonal alone: squared Taylor."""

SHARE = 0.1
"""Of the filters that are left, how many leave between two expansions."""

LAST = 0.3
"""Share of all filters whose order the last expansion decides: little is left there that could be expanded."""


def taylor_joint(subject: Subject, *, batch: int = BATCH) -> np.ndarray:
    """The place of each filter in the order of leaving, from 1; the last of each layer leaves behind all others.

    Which filters are asked about decides what they can cancel, so places among some of them are others.

    Raises:
        ImportanceError: the network answers NaN or infinity.
    """
    layout = subject.layout
    few = subject.sample(IMAGES)
    keep = np.ones(layout.n_filters, bool)
    order: list[int] = []
    while len(order) < layout.n_filters:
        changes = _changes(few, keep, batch)
        # NaN would look like a filter that never leaves.
        joined(subject, layout.split(np.abs(changes).sum(axis=0)))
        left = layout.n_filters - len(order)
        leaving = left if left <= LAST * layout.n_filters else max(1, int(SHARE * left))
        order += leave(changes, keep, layout, leaving)
        keep[order] = False
    places = np.empty(layout.n_filters)
    places[order] = np.arange(1, layout.n_filters + 1)
    return places


def leave(changes: np.ndarray, keep: np.ndarray, layout: Layout, count: int) -> list[int]:
    """The next ``count`` filters to leave, in their order.

    Args:
        changes: ``float64[n, n_filters]`` of the loss of each image, should a filter leave.
        keep: ``bool[n_filters]``: who has not left yet.
        layout: of the filters; the last one of a layer waits until every layer is down to its last.
        count: how many; no more than there are.
    """
    by_filter = np.ascontiguousarray(changes.T)
    alone = np.square(by_filter).sum(axis=1)
    together = np.zeros(len(changes))
    layer = np.repeat(np.arange(len(layout.sizes)), layout.sizes)
    keep = keep.copy()
    left = np.bincount(layer[keep], minlength=len(layout.sizes))
    found = []
    with one_thread():
        for _ in range(count):
            free = keep & (left[layer] > 1)
            candidates = np.flatnonzero(free if free.any() else keep)
            cost = alone[candidates] + 2 * INTERACTION * (by_filter @ together)[candidates]
            leaving = int(candidates[np.argmin(cost)])
            found.append(leaving)
            keep[leaving] = False
            left[layer[leaving]] -= 1
            together += by_filter[leaving]
    return found


def _changes(subject: Subject, keep: np.ndarray, batch: int) -> np.ndarray:
    """``float64[images, n_filters]``: change of the loss of each image, should one more filter leave."""
    keeps = {name: jnp.asarray(part, jnp.float32) for name, part in subject.layout.split(keep).items()}
    rows = [
        -np.concatenate([found[name] for name in subject.layout.names], axis=1)[labels != PADDING]
        for found, labels in batchwise(subject, _gradients_under, batch, keeps)
    ]
    return np.concatenate(rows).astype(np.float64)


def _gradients_under(
    layout: Layout, network: Network, inputs: jax.Array, labels: jax.Array, keeps: dict[str, jax.Array]
) -> dict[str, jax.Array]:
    gates = {name: jnp.broadcast_to(keep, (len(inputs), len(keep))) for name, keep in keeps.items()}
    return gate_gradients_at(network, inputs, labels, gates)
