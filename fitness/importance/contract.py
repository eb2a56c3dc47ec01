"""The contract of an importance: one number for each filter of a trained network, higher = keep."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from engine.errors import EvopruneError
from engine.layout import Layout
from models.model_directory import Model


class ImportanceError(EvopruneError):
    """An importance cannot be computed for this network or these images."""


@dataclass(frozen=True)
class Subject:
    """The inputs of an importance.

    Attributes:
        model: the trained network, its normalisation, and the sensitivities if training gathered them; is not
            changed.
        layout: the filters to rank: some or all of the network's filter groups.
        images: ``uint8[n, height, width, channels]``, of the training split.
        labels: ``int32[n]``.
        seed: of the random numbers that a method draws.
    """

    model: Model
    layout: Layout
    images: np.ndarray
    labels: np.ndarray
    seed: int = 0

    def sample(self, most: int) -> "Subject":
        """The same subject with at most ``most`` images, drawn at random because data may be sorted by class."""
        count = len(self.images)
        if count <= most:
            return self
        chosen = np.sort(np.random.default_rng(self.seed).choice(count, most, replace=False))
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])


class Importance(Protocol):
    """Ranks the filters of a network. Implementations live one a file in this folder."""

    def __call__(self, subject: Subject) -> np.ndarray:
        """Finite ``float64[n_filters]`` in the order of ``subject.layout``; higher = keep.

        Depends on the subject alone: the same subject gives the same numbers at any batch size.

        Raises:
            ImportanceError: the subject lacks something that the method needs; the message names the remedy.
        """
        ...
