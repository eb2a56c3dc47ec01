"""Importances of a run: they seed its initial population and guide its mutations."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.errors import DataError
from experiments.data import datasets
from experiments.data.datasets import ImageSet
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from experiments.progress import Reporter
from experiments.runs.knowledge.artifacts import Artifact
from experiments.runs.options import SearchOptions
from experiments.runs.problem import Problem
from fitness.genome import Genome
from fitness.importance import IMPORTANCES, Subject
from models.model_directory import Model

SPLIT = "train"
USUAL_IMAGES = 1_000

Importances = Mapping[str, np.ndarray]
"""Method -> ``float64[n_filters]``, higher = keep."""


class ImportancesArtifact(Artifact[Importances]):
    """The importances by the methods that ``seed_with`` names, in its order, computed on the fitness images."""

    entry = "importances_digest"
    file = "importances.safetensors"
    purpose = "the search takes its first masks and its mutations from this file"

    def needed(self, options: SearchOptions) -> bool:
        """See :class:`Artifact`."""
        return bool(options.seeds)

    def compute(self, problem: Problem) -> Importances:
        """See :func:`compute_importances`."""
        options = problem.options
        return compute_importances(
            options.seeds,
            problem.model,
            problem.genome,
            problem.evaluation_images,
            options.settings.seed,
            problem.reporter,
        )

    def encode(self, value: Importances) -> bytes:
        """See :class:`Artifact`."""
        return serialise_safetensors(dict(value))

    def decode(self, content: bytes, options: SearchOptions) -> Importances:
        """See :class:`Artifact`."""
        found = parse_safetensors(content)
        return {method: found[method] for method in options.seeds}

    def digest(self, value: Importances) -> str:
        """See :class:`Artifact`."""
        known = hashlib.sha256()
        for name, array in value.items():
            known.update(f"{name}{array.dtype.str}{array.shape}".encode())
            known.update(np.ascontiguousarray(array).tobytes())
        return known.hexdigest()

    def misfit(self, value: Importances, problem: Problem) -> str | None:
        """See :class:`Artifact`."""
        filters = problem.genome.layout.n_filters
        for method, numbers in value.items():
            if numbers.shape != (filters,) or numbers.dtype != np.float64 or not np.isfinite(numbers).all():
                return f"{method!r} has no finite float64 for each of its {filters:,} filters"
        return None


def compute_importances(
    methods: tuple[str, ...], model: Model, genome: Genome, images: ImageSet, seed: int, reporter: Reporter
) -> dict[str, np.ndarray]:
    """Compute ``float64[n_filters]`` by each method; the reporter hears of each, since some take minutes.

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
    """A seeded random subset of ``count`` training images; None: 1,000, or all if there are fewer.

    Raises:
        DataError: the data has no training split or not as many images, or does not fit the model.
    """
    if count is None:
        count = min(USUAL_IMAGES, datasets.size(data.data, SPLIT, data_dir=data.data_dir, labelled=data.labelled))
    try:
        return load_images(replace(data, split=SPLIT, images=count), model)
    except DataError as error:
        raise DataError(f"`importance_images` {count}: {error}") from error
