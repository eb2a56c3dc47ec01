"""Importances by the names that users give, for seeding a search and for baselines."""

from collections.abc import Collection

import numpy as np

from engine.errors import OptionError
from experiments.datasets import ImageSet
from experiments.progress import Reporter
from fitness.genome import Genome
from fitness.importance import IMPORTANCES, Subject
from models.store import Model


def named_methods(text: str, option: str, known: Collection[str]) -> tuple[str, ...]:
    """The names in a list such as ``taylor,magnitude``, in its order.

    Raises:
        OptionError: one is unknown or named twice; the sentence names ``option``.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            raise OptionError(
                f"{option} {name!r} is not known; choose from {', '.join(known)}, joined by commas."
            )
        if names.count(name) > 1:
            raise OptionError(f"{option} names {name} twice; name each method once.")
    return names


def compute_importances(
    methods: tuple[str, ...], model: Model, genome: Genome, images: ImageSet, seed: int, reporter: Reporter
) -> dict[str, np.ndarray]:
    """``float64[n_filters]`` by method, each announced, as some take minutes.

    Raises:
        ImportanceError: the model lacks what a method needs.
    """
    subject = Subject(model, genome.layout, images.images, images.labels, seed)
    importances = {}
    for method in methods:
        reporter.message(f"computing the importance of filters by {method} on {len(images):,} images.")
        importances[method] = IMPORTANCES[method](subject)
    return importances
