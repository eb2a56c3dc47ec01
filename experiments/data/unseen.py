"""Training images that no earlier choice used: to measure statistics on, and to choose among finalists."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from experiments.data import datasets
from experiments.data.datasets import ImageSet
from experiments.data.loading import open_images
from experiments.data.options import DataOptions
from models.model_directory import Model

TRAIN_SPLIT = "train"
_STREAM, _CALIBRATION_STREAM = 1, 2


def unseen_images(
    seen: Collection[DataOptions], count: int, model: Model, besides: np.ndarray | None = None
) -> ImageSet | None:
    """A seeded random part of the training split, without the images that ``seen`` names.

    Args:
        seen: choices from one data set with one seed; choices from other splits have no effect.
        besides: places ``int64[k]`` in the training split that were seen too.
        count: number of images at most.
        model: the network that takes the images.

    Returns:
        The images; None where the data has no training split, or no image of it is left.

    Raises:
        DataError: the split cannot be read, or does not fit the model.
    """
    [data, *_] = seen
    if TRAIN_SPLIT not in datasets.available_splits(data.data, data_dir=data.data_dir):
        return None
    found = datasets.size(data.data, TRAIN_SPLIT, data_dir=data.data_dir, labelled=data.labelled)
    left = np.arange(found) if besides is None else np.setdiff1d(np.arange(found), besides)
    for each in seen:
        if each.split == TRAIN_SPLIT:
            left = np.setdiff1d(left, datasets.subset(found, each.images, each.seed))
    if len(left) == 0:
        return None
    generator = np.random.default_rng([data.seed, _STREAM])
    chosen = np.sort(generator.choice(left, min(count, len(left)), replace=False))
    return open_images(replace(data, split=TRAIN_SPLIT, images=None), model).at(chosen).decoded()


def calibration_places(data: DataOptions, count: int) -> tuple[np.ndarray, int]:
    """Places in the training split of the images on which a search measures the statistics of batch norms.

    Images that are no fitness images come first. Fitness images fill up where too few others are left.

    Args:
        data: the fitness images; their seed decides.
        count: number of images; all images of the split, if it has fewer.

    Returns:
        ``int64[n]``, ascending, and the number of fitness images among them.

    Raises:
        DataError: the split cannot be read.
    """
    found = datasets.size(data.data, TRAIN_SPLIT, data_dir=data.data_dir, labelled=data.labelled)
    fitness = np.arange(0)
    if data.split == TRAIN_SPLIT:
        fitness = datasets.subset(found, data.images, data.seed)
    others = np.setdiff1d(np.arange(found), fitness)
    generator = np.random.default_rng([data.seed, _CALIBRATION_STREAM])
    fresh = generator.choice(others, min(count, len(others)), replace=False)
    filling = generator.choice(fitness, min(count - len(fresh), len(fitness)), replace=False)
    return np.sort(np.concatenate([fresh, filling])), len(filling)
