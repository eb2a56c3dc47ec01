"""Importance by reconstruction error: the part of the next layer's output that kept filters cannot reproduce.

Filters leave one by one. The next is the filter that adds least to the squared error of the next layer's output
after linear compensation by the others (:mod:`models.compensation`). The error has a closed form: with the
covariance of the layer's inputs and the weights that read them, removing channel *j* adds ``q[j, j] / p[j,
j]``, where ``p`` inverts the covariance of the kept channels and ``q`` holds the products of their weights;
both then change by a rank-one step. This is Optimal Brain Surgeon (Hassibi and Stork, "Second order derivatives
for network pruning", NIPS 1992) on whole channels, with the layer's output as the loss, as in OSSCAR (Meng et
al., ICML 2024). A filter that others predict costs nothing. Needs no labels and no gradients.
"""

import numpy as np

from fitness.importance.contract import ImportanceError, Subject
from fitness.importance.layers import first_of_lowest, joined
from models.arrays import stage_arrays
from models.axes import places
from models.compensation.coefficients import Moments, one_thread
from models.compensation.moments import gather_moments, reader_name
from models.errors import CompensationError

IMAGES = 1_500
"""Most images of the subject; averages over images and positions converge soon."""


def reconstruction(subject: Subject) -> np.ndarray:
    """The error of the next layer when the filter leaves, as a share of the variance of the layer's output.

    Errors of several layers that read the same filters are added. Filters that no known weights read have the
    highest error of all.

    Raises:
        ImportanceError: no weights that read a layer are known.
    """
    network, layout, images = subject.model.network, subject.layout, subject.sample(IMAGES).images
    try:
        products = gather_moments(network, subject.model.normalisation, images, layout.names)
    except CompensationError as error:
        raise ImportanceError(f"reconstruction, as compensation, cannot be computed: {error}") from error
    sizes = {group.name: group.size for group in network.filter_groups}
    quadratics: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for stage in network.stages:
        arrays = stage_arrays(stage)
        for reader in stage.readers():
            if reader.group in layout.names:
                kernel = np.asarray(reader.layout.rows(arrays[reader.kernel], sizes))
                by_place = kernel[..., places(reader.rows, reader.group, sizes), :]
                quadratic = _quadratic(products[reader_name(stage, reader)], by_place)
                quadratics.setdefault(reader.group, []).append(quadratic)
    layers: dict[str, np.ndarray] = {}
    with one_thread():
        for name, readers in quadratics.items():
            layers[name] = errors_on_leaving(readers, sizes[name])
    highest = max(float(errors.max()) for errors in layers.values())
    # Filters whose readers are not known leave after all others.
    unknown = {name: np.full(sizes[name], highest) for name in layout.names if name not in layers}
    return joined(subject, layers | unknown)


def errors_on_leaving(quadratics: list[tuple[np.ndarray, np.ndarray]], size: int) -> np.ndarray:
    """``float64[size]``: the summed error when each channel leaves, in the greedy order.

    Args:
        quadratics: for each reader the covariance of what it reads and the products of the weights that read it,
            ``float64[size, size]`` each.
        size: channels.
    """
    precisions = np.stack([np.linalg.inv(covariance) for covariance, _ in quadratics])
    weights = np.stack([products / np.sum(covariance * products) for covariance, products in quadratics])
    left, error = np.zeros(size), 0.0
    staying = np.ones(size, bool)
    for _ in range(size):
        diagonals = (np.diagonal(part, axis1=1, axis2=2) for part in (weights, precisions))
        cost = np.divide(*diagonals).sum(axis=0)
        leaving = first_of_lowest(np.where(staying, cost, np.inf), np.abs(cost))
        error += max(0.0, float(cost[leaving]))
        left[leaving] = error
        staying[leaving] = False
        _remove(precisions, weights, leaving)
    return left


def _remove(precisions: np.ndarray, weights: np.ndarray, leaving: int) -> None:
    """Fold a channel into the others, in place. Its own rows and columns have no meaning afterwards."""
    row = precisions[:, leaving].copy()
    pivot = row[:, leaving].copy()
    shares = -row / pivot[:, None]
    shares[:, leaving] = 0.0
    precisions -= row[:, :, None] * row[:, None, :] / pivot[:, None, None]
    # The channel's own place is now zero; a 1 keeps the ratio of the next round defined.
    precisions[:, leaving, leaving] = 1.0
    crossed = shares[:, :, None] * weights[:, leaving][:, None, :]
    own = weights[:, leaving, leaving][:, None, None]
    weights += crossed + crossed.transpose(0, 2, 1) + shares[:, :, None] * shares[:, None, :] * own


def _quadratic(products: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The covariance (with its ridge) of a reader's inputs, and the products of its weights by channel.

    ``kernel``: ``float32[..., c, outputs]``.
    """
    covariance = Moments(products).covariance
    by_channel = np.moveaxis(kernel.astype(np.float64), -2, 0).reshape(len(covariance), -1)
    return covariance, by_channel @ by_channel.T
