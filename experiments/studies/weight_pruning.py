"""Unstructured pruning: sets single weights to zero and keeps all shapes (Muppalla and Kumar; Khanal 2018).

Weight masks are kept apart from filter masks: they make nothing smaller or faster, and are no genomes. Scores
and masks are mappings from array names, as in :func:`models.arrays.arrays_of`, to arrays of the kernels'
shapes; a higher score means keep, and True means keep. Weights are ranked over all arrays given together; equal
scores go in the order of the mapping and, within an array, of its elements (last axis fastest), the first one
first.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from models.arrays import arrays_of, set_arrays
from models.contract import Network
from models.errors import PruningError

Arrays = Mapping[str, np.ndarray]


class WeightsPruned(NamedTuple):
    """A network of the same shapes with zeros, and by array name how many weights were removed of how many."""

    network: Network
    removed: dict[str, int]
    total: dict[str, int]


def magnitudes(kernels: Arrays) -> dict[str, np.ndarray]:
    """Absolute values: the score of Muppalla and Kumar."""
    return {name: np.abs(kernel) for name, kernel in kernels.items()}


def normalised(scores: Arrays) -> dict[str, np.ndarray]:
    """Each array mapped linearly onto [0, 1], as ``float64``: smallest to 0, largest to 1.

    Khanal 2018 normalises sensitivities, which may be negative, "to the range (0,1)" by layer and "any
    appropriate measure". This measure maps a typical sensitivity, near 0, to a value where the threshold 0.45
    removes few weights, as the document reports. An array of equal scores becomes 1, which any threshold keeps.
    """
    mapped = {}
    for name, score in scores.items():
        low, high = float(np.min(score)), float(np.max(score))
        mapped[name] = (score.astype(np.float64) - low) / (high - low) if high > low else np.ones(score.shape)
    return mapped


def random_scores(kernels: Arrays, seed: int) -> dict[str, np.ndarray]:
    """Independent uniform numbers in [0, 1) for each weight: the baseline of Khanal 2018."""
    generator = np.random.default_rng(seed)
    return {name: generator.random(kernel.shape) for name, kernel in kernels.items()}


def remove_lowest(scores: Arrays, percent: float) -> dict[str, np.ndarray]:
    """Masks that remove the lowest ``percent`` of all weights: ``percent * n / 100`` rounded down, exactly.

    Raises:
        PruningError: ``percent`` is not from 0 to 100, or a score is not finite.
    """
    if not 0 <= percent <= 100:
        raise PruningError(f"the share of weights to remove must be from 0 to 100 percent, not {percent}.")
    _check_finite(scores)
    flat = np.concatenate([score.ravel() for score in scores.values()]) if scores else np.zeros(0)
    keep = np.ones(flat.size, bool)
    keep[np.argsort(flat, kind="stable")[: int(percent * flat.size / 100)]] = False
    parts = np.split(keep, np.cumsum([score.size for score in scores.values()])[:-1])
    return {name: part.reshape(scores[name].shape) for name, part in zip(scores, parts, strict=True)}


def remove_below(scores: Arrays, threshold: float) -> dict[str, np.ndarray]:
    """Masks that remove the weights whose score is below ``threshold`` (Khanal 2018).

    Raises:
        PruningError: the threshold or a score is not finite.
    """
    if not np.isfinite(threshold):
        raise PruningError(f"the threshold must be a finite number, not {threshold}.")
    _check_finite(scores)
    return {name: score >= threshold for name, score in scores.items()}


def prune_weights(network: Network, keeps: Arrays) -> WeightsPruned:
    """Set the removed weights to zero.

    Args:
        network: left as it is.
        keeps: ``bool`` of the array's shape by name, True = keep; arrays that are absent are kept whole.

    Raises:
        PruningError: an array that the network lacks, or a mask of another shape or type.
    """
    arrays = arrays_of(network)
    for name, keep in keeps.items():
        if name not in arrays:
            raise PruningError(f"the network has no array {name!r}; it has {', '.join(arrays)}.")
        if keep.dtype != bool or keep.shape != arrays[name].shape:
            raise PruningError(
                f"array {name!r} needs a mask of bool{list(arrays[name].shape)}, not "
                f"{keep.dtype}{list(keep.shape)}."
            )
        arrays[name] = np.where(keep, arrays[name], np.zeros((), arrays[name].dtype))
    pruned = network.architecture.blank()
    set_arrays(pruned, arrays)
    removed = {name: int(np.count_nonzero(~keep)) for name, keep in keeps.items()}
    return WeightsPruned(pruned, removed, {name: keep.size for name, keep in keeps.items()})


def _check_finite(scores: Arrays) -> None:
    for name, score in scores.items():
        if not np.isfinite(score).all():
            raise PruningError(f"the scores of {name!r} are not all finite; such weights cannot be ranked.")
