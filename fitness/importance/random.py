"""Importance by chance: the yardstick that every other method has to beat."""

import numpy as np

from fitness.importance.contract import Subject
from fitness.importance.layers import joined


def random_importance(subject: Subject) -> np.ndarray:
    """Independent uniform numbers, ``float64[n_filters]`` in [0, 1), from ``subject.seed``.

    Drawn for all groups of the network in their order, so that a filter's number does not depend on which
    others are asked about.
    """
    generator = np.random.default_rng(subject.seed)
    numbers = {group.name: generator.random(group.size) for group in subject.model.network.filter_groups}
    return joined(subject, numbers)
