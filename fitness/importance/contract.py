"""What an importance is: one number for each filter of a trained network, higher = keep."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from engine.layout import Layout
from models.store import Model


@dataclass(frozen=True)
class Subject:
    """All that an importance may look at.

    Attributes:
        model: the trained network, its normalisation and the sensitivities gathered in its training, if they
            were; left as it is.
        layout: the filters asked about, a part of the network's filter groups or all of them.
        images: ``uint8[n, height, width, channels]``, of the training split.
        labels: ``int32[n]``.
        seed: of whatever is random.
    """

    model: Model
    layout: Layout
    images: np.ndarray
    labels: np.ndarray
    seed: int = 0

    def sample(self, most: int) -> "Subject":
        """The same with at most so many images, drawn at random by the seed: data may be sorted by class."""
        count = len(self.images)
        if count <= most:
            return self
        chosen = np.sort(np.random.default_rng(self.seed).choice(count, most, replace=False))
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])


class Importance(Protocol):
    """Ranks the filters of a network. Implementations live one a file in this folder."""

    def __call__(self, subject: Subject) -> np.ndarray:
        """Finite ``float64[n_filters]`` in the order of ``subject.layout``; higher = keep.

        Depends on the subject alone: the same subject gives the same numbers, whatever the batch size.

        Raises:
            ImportanceError: the subject lacks what the method needs; the sentence names the remedy.
        """
        ...
