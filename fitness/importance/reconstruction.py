"""Importance by what is lost for good: the part of a layer's input that kept filters cannot make up for.

Filters leave one by one, each time the one whose leaving adds least to the squared error of what the next layer
computes, when the others take over linearly what they can (:mod:`models.compensation`). That error is in closed
form: with the covariance of the layer's inputs and the weights that read them, removing channel *j* adds
``q[j, j] / p[j, j]``, where ``p`` inverts the covariance of the kept channels and ``q`` holds the products of
their weights; both then change by a rank-one step. This is Optimal Brain Surgeon (Hassibi and Stork, "Second
order derivatives for network pruning", NIPS 1992) on whole channels, with the layer's output as the loss, as in
OSSCAR (Meng et al., ICML 2024). A filter that others explain is free. No labels and no gradients are needed.
"""

import numpy as np

from fitness.importance.contract import Subject
from fitness.importance.errors import ImportanceError
from fitness.importance.layers import joined
from models.compensation.coefficients import Moments
from models.compensation.moments import gather_moments, reader_name
from models.compensation.threads import one_thread
from models.errors import CompensationError
from models.state import arrays_of

IMAGES = 1_500
"""Of the subject, at most: averages over images and positions settle soon."""


def reconstruction(subject: Subject) -> np.ndarray:
    """The error of the layer behind, as a share of its output's variance, by when the filter leaves.

    Errors of several layers that read the same filters are added.

    Raises:
        ImportanceError: nothing that could make up for filters of a layer is known.
    """
    network, layout, images = subject.model.network, subject.layout, subject.sample(IMAGES).images
    try:
        products = gather_moments(network, subject.model.normalisation, images, layout.names)
    except CompensationError as error:
        raise ImportanceError(f"reconstruction, as compensation, cannot be computed: {error}") from error
    arrays = arrays_of(network)
    layers: dict[str, np.ndarray] = {}
    for name, size in zip(layout.names, layout.sizes, strict=True):
        readers = [
            (products[reader_name(stage, reader)], arrays[f"{stage.name}.{reader.kernel}"])
            for stage in network.stages
            for reader in stage.readers()
            if reader.group == name
        ]
        if not readers:
            raise ImportanceError(
                f"--seed-with reconstruction needs to know what reads layer {name!r}; choose another method."
            )
        with one_thread():
            layers[name] = errors_on_leaving([_quadratic(*reader) for reader in readers], size)
    return joined(subject, layers)


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
        leaving = int(np.argmin(np.where(staying, cost, np.inf)))
        error += max(0.0, float(cost[leaving]))
        left[leaving] = error
        staying[leaving] = False
        _remove(precisions, weights, leaving)
    return left


def _remove(precisions: np.ndarray, weights: np.ndarray, leaving: int) -> None:
    """Let the others take over a channel, in place; its own rows and columns mean nothing afterwards."""
    row = precisions[:, leaving].copy()
    pivot = row[:, leaving].copy()
    shares = -row / pivot[:, None]
    shares[:, leaving] = 0.0
    precisions -= row[:, :, None] * row[:, None, :] / pivot[:, None, None]
    # What is subtracted from its own place leaves nothing; a 1 keeps the ratio of the next round defined.
    precisions[:, leaving, leaving] = 1.0
    crossed = shares[:, :, None] * weights[:, leaving][:, None, :]
    own = weights[:, leaving, leaving][:, None, None]
    weights += crossed + crossed.transpose(0, 2, 1) + shares[:, :, None] * shares[:, None, :] * own


def _quadratic(products: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The covariance (with its ridge) of a reader's inputs, and the products of its weights by channel."""
    covariance = Moments(products).covariance
    channels = len(covariance)
    rows = kernel.reshape(-1, channels, kernel.shape[-1]).astype(np.float64)
    by_channel = rows.transpose(1, 0, 2).reshape(channels, -1)
    return covariance, by_channel @ by_channel.T
