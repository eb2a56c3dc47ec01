"""Training images that a search did not see, to choose among its finalists."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from experiments import datasets
from experiments.datasets import ImageSet
from experiments.measuring import DataOptions, load_images
from models.store import Model

SPLIT = "train"
_STREAM = 1


def unseen_images(seen: Collection[DataOptions], count: int, model: Model) -> ImageSet | None:
    """A seeded random part of the training split without the images that ``seen`` names.

    Args:
        seen: of one data set and seed; what is of another split takes nothing away.
        count: how many images at most.
        model: that the images must fit.

    Returns:
        The images; None where the data has no training split, or nothing of it is left.

    Raises:
        DataError: the split cannot be read, or does not fit the model.
    """
    [data, *_] = seen
    if SPLIT not in datasets.available_splits(data.data, data_dir=data.data_dir):
        return None
    found = datasets.size(data.data, SPLIT, data_dir=data.data_dir)
    left = np.arange(found)
    for each in seen:
        if each.split == SPLIT:
            left = np.setdiff1d(left, datasets.subset(found, each.images, each.seed))
    if len(left) == 0:
        return None
    generator = np.random.default_rng([data.seed, _STREAM])
    chosen = np.sort(generator.choice(left, min(count, len(left)), replace=False))
    return load_images(replace(data, split=SPLIT, images=None), model).at(chosen)
