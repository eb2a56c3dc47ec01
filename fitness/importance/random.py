"""Importance by chance: the yardstick that every other method has to beat."""

import numpy as np

from fitness.importance.contract import Subject


def random_importance(subject: Subject) -> np.ndarray:
    """Independent uniform numbers, ``float64[n_filters]`` in [0, 1), from ``subject.seed``."""
    return np.random.default_rng(subject.seed).random(subject.layout.n_filters)
