"""Importances by the names that users give, for seeding a search and for baselines."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from engine.errors import DataError
from engine.option_lists import named_once
from experiments import datasets
from experiments.datasets import ImageSet
from experiments.measuring import DataOptions, load_images
from experiments.progress import Reporter
from fitness.genome import Genome
from fitness.importance import IMPORTANCES, Subject
from models.store import Model

SPLIT = "train"
USUAL_IMAGES = 1_000


def named_methods(text: str, option: str, known: Collection[str]) -> tuple[str, ...]:
    """The names in a list such as ``taylor,magnitude``, in its order.

    Raises:
        OptionError: one is unknown or named twice; the sentence names ``option``.
    """
    return named_once(text, option, known, "method")


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


def importance_images(data: DataOptions, count: int | None, model: Model) -> ImageSet:
    """A seeded random subset of the training split, of ``count`` images; None: 1,000, or all if there are fewer.

    Raises:
        DataError: the data has no such split or not as many images, or does not fit the model.
    """
    if count is None:
        count = min(USUAL_IMAGES, datasets.size(data.data, SPLIT, data_dir=data.data_dir))
    try:
        return load_images(replace(data, split=SPLIT, images=count), model)
    except DataError as error:
        raise DataError(f"--importance-images {count}: {error}") from error
