"""The training images on which a search measures the statistics of batch norms."""

import numpy as np

from experiments.data import datasets
from experiments.data.options import DataOptions

TRAIN_SPLIT = "train"
_STREAM = 2


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
    generator = np.random.default_rng([data.seed, _STREAM])
    fresh = generator.choice(others, min(count, len(others)), replace=False)
    filling = generator.choice(fitness, min(count - len(fresh), len(fitness)), replace=False)
    return np.sort(np.concatenate([fresh, filling])), len(filling)
