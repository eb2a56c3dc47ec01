"""Random importance: the baseline that every other method has to beat."""

import numpy as np

from fitness.importance.contract import Subject
from fitness.importance.layers import joined


def random_importance(subject: Subject) -> np.ndarray:
    """Independent uniform numbers, ``float64[n_filters]`` in [0, 1), from ``subject.seed``.

    The numbers are drawn for all groups of the network, so the number of a filter does not depend on the layout
    of the subject.
    """
    generator = np.random.default_rng(subject.seed)
    numbers = {group.name: generator.random(group.size) for group in subject.model.network.filter_groups}
    return joined(subject, numbers)
