"""The images of a finish: those that candidates are refitted to, and those that they are judged on.

Candidates are judged on the fitness images and on the check images. Neither the search nor the refit saw the
check images. Where the search saw nearly all training images, the check images are a random half of them that
the refit does not see: a refit looks better than it is on the images that it was fitted to.
"""

import hashlib
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import datasets
from experiments.data.calibration import calibration_places
from experiments.data.datasets import ImageSet
from experiments.data.loading import open_images
from experiments.data.options import DataOptions
from experiments.runs.knowledge.compensation import SPLIT
from experiments.runs.options import NONE, SearchOptions
from experiments.runs.problem import Problem
from models.compensation.method import recalibrates
from models.contract import Network

REFIT_IMAGES = 5_000
"""Training images that layers are fitted to, at most."""

CHECK_IMAGES = 5_000
"""Check images, at most."""

MOST_BYTES = 1 << 32
"""Activations that a refit may hold; pictures of 224x224 pixels are refitted to fewer images."""

_AT_HAND = 1 << 28
"""Bytes of check images up to which they stay in memory."""

_FEWEST_UNSEEN = 500
_STREAM = 3


@dataclass(frozen=True)
class FinishImages:
    """Images of the training split.

    Attributes:
        fitted: for the refit, in memory; None where the finish changes no weight.
        check: to judge by; not among ``fitted``.
        unseen: whether the search did not see the check images either.
    """

    fitted: ImageSet | None
    check: ImageSet
    unseen: bool

    @property
    def key(self) -> str:
        """SHA-256 of all that decides what a refit gives and what it is judged by."""
        parts = [None if self.fitted is None else self.fitted.digest(), self.check.digest()]
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def finish_images(problem: Problem, refit_images: int | None) -> FinishImages | None:
    """Choose the images to refit to and to judge by; None without training images to judge by.

    Args:
        problem: of the search.
        refit_images: to refit to, at most; None if no weight is to change.

    Raises:
        DataError: the training split cannot be read, or does not fit the model.
    """
    data, model = problem.options.data, problem.model
    if SPLIT not in datasets.available_splits(data.data, data_dir=data.data_dir):
        return None
    found = datasets.size(data.data, SPLIT, data_dir=data.data_dir, labelled=data.labelled)
    check, unseen = check_places(problem.options, found, refits=refit_images is not None)
    if len(check) == 0:
        return None
    training = replace(data, split=SPLIT, images=None)
    fitted = None
    if refit_images is not None:
        rest = np.setdiff1d(np.arange(found), check)
        count = min(refit_images, len(rest), images_within(model.network, MOST_BYTES))
        fitted = open_images(training, model, places=_chosen(rest, count, data.seed)).decoded()
    judged_by = open_images(training, model, places=check)
    size = len(check) * int(np.prod(judged_by.shape))
    return FinishImages(fitted, judged_by.decoded() if size <= _AT_HAND else judged_by, unseen)


def changes_weights(problem: Problem) -> bool:
    """Whether candidates are refitted: where the search may change weights, and the network names its readers."""
    readers = any(stage.readers() for stage in problem.model.network.stages)
    return readers and problem.options.compensate != NONE


def check_places(options: SearchOptions, found: int, *, refits: bool) -> tuple[np.ndarray, bool]:
    """Which of ``found`` training images are check images, ascending; and whether the search sees none of them.

    ``refits``: whether the rest has to hold images to refit to.
    """
    data = options.data
    seen = [data]
    if options.compensate != NONE:
        seen.append(replace(data, split=SPLIT, images=min(options.compensation_images, found)))
    left = np.setdiff1d(np.arange(found), _seen(seen, found))
    if recalibrates(options.compensate):
        left = np.setdiff1d(left, calibration_places(data, options.calibration_images)[0])
    most = found // 2 if refits else found
    if len(left) >= max(1, min(_FEWEST_UNSEEN, found // 10)):
        return _chosen(left, min(CHECK_IMAGES, most, len(left)), data.seed), True
    # A search without a refit that saw all images has judged its masks by them already.
    return _chosen(np.arange(found), min(CHECK_IMAGES, most) if refits else 0, data.seed), False


def images_within(network: Network, most: int) -> int:
    """Images, 1 or more, whose activations between two stages fit into ``most`` bytes, for two networks."""
    carry = jax.ShapeDtypeStruct((1, *network.architecture.input_shape), jnp.float32)
    largest = carry.size
    for stage in network.stages:
        carry = jax.eval_shape(lambda stage, carry: stage(carry, {}), stage, carry)
        largest = max(largest, carry.size)
    return max(1, most // (2 * 4 * largest))


def _seen(choices: list[DataOptions], found: int) -> np.ndarray:
    parts = [datasets.subset(found, each.images, each.seed) for each in choices if each.split == SPLIT]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *parts]))


def _chosen(places: np.ndarray, count: int, seed: int) -> np.ndarray:
    """``int64[count]`` of the places, ascending."""
    return np.sort(np.random.default_rng([seed, _STREAM]).choice(places, count, replace=False))
