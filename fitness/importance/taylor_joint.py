"""Importance by joint changes of the loss: Taylor expansions that are repeated as filters leave.

Removing a set of filters changes the loss of image *n* by the sum of their first-order changes ``t[n, i]``
(:mod:`fitness.importance.taylor`). Squared Taylor ranks by ``sum over n of t[n, i] ** 2``, as if each filter
left alone. But the changes of filters can cancel, and filters that are harmless one by one can add up. Here
filters leave greedily: the next is the filter that keeps the squared change of all removed filters smallest.
This is the Combinatorial Brain Surgeon (Yu et al., ICML 2022, arXiv:2203.04466) on whole filters with the
empirical Fisher matrix. Its elements off the diagonal are noisier than the diagonal and are multiplied by
:data:`INTERACTION`.

First-order changes hold near the network at which they are computed. So they are computed again, without the
removed filters, whenever :data:`SHARE` of the remaining filters have left. The change to keep small is the
change since then.
"""

import jax
import jax.numpy as jnp
import numpy as np

from engine.layout import Layout
from fitness.evaluation.division import PADDING
from fitness.importance.batchwise import BATCH, batchwise
from fitness.importance.contract import Subject
from fitness.importance.layers import first_of_lowest, joined
from fitness.importance.taylor import gate_gradients_at
from models.compensation.coefficients import one_thread
from models.contract import Network

IMAGES = 1_000
"""Most images of the subject. Each expansion passes all of them forward and backward."""

INTERACTION = 0.5
"""1 is the whole matrix, 0 its diagonal alone: squared Taylor."""

SHARE = 0.1
"""Share of the remaining filters that leaves between two expansions."""

LAST = 0.3
"""Share of all filters whose order the last expansion decides. By then hardly anything is left to expand."""


def taylor_joint(subject: Subject, *, batch: int = BATCH) -> np.ndarray:
    """The place of each filter in the order of leaving, from 1. The last filters of all layers leave at the end.

    The places depend on the layout of the subject, because only its filters can cancel each other.

    Raises:
        ImportanceError: the network answers NaN or infinity.
    """
    layout = subject.layout
    few = subject.sample(IMAGES)
    keep = np.ones(layout.n_filters, bool)
    order: list[int] = []
    while len(order) < layout.n_filters:
        changes = _changes(few, keep, batch)
        # A NaN would compare as a filter that never leaves.
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
        changes: ``float64[n, n_filters]``: change of the loss of each image if a filter leaves.
        keep: ``bool[n_filters]``: filters that have not left yet.
        layout: of the filters; the last filter of a layer waits until every layer has one filter left.
        count: from 0 to the number of filters that are left.
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
            own, shared = alone[candidates], 2 * INTERACTION * (by_filter @ together)[candidates]
            leaving = int(candidates[first_of_lowest(own + shared, own + np.abs(shared))])
            found.append(leaving)
            keep[leaving] = False
            left[layer[leaving]] -= 1
            together += by_filter[leaving]
    return found


def _changes(subject: Subject, keep: np.ndarray, batch: int) -> np.ndarray:
    """``float64[images, n_filters]``: change of the loss of each image if one more filter leaves."""
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
