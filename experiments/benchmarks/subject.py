"""The subject of a benchmark: a model, its genome, and images; all benchmarks share these options."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from engine.errors import EvopruneError
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from fitness.evaluation.evaluator import LocalEvaluator, usual_batch
from fitness.genome import Genome
from models import model_directory
from models.errors import NetworkError
from models.model_directory import Model
from models.networks.registry import NETWORKS
from models.networks.vgg import VGGArchitecture
from models.normalisation import Normalisation

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Subject:
    """``images``: ``uint8[total, height, width, channels]``; ``labels``: ``int32[total]``."""

    model: Model
    genome: Genome
    images: np.ndarray
    labels: np.ndarray
    source: str

    @property
    def vgg(self) -> VGGArchitecture:
        """The architecture, for the loops that are written for a VGG.

        Raises:
            click.ClickException: it is another network.
        """
        architecture = self.model.network.architecture
        if not isinstance(architecture, VGGArchitecture):
            raise click.ClickException(f"--model holds a {architecture.name}; this benchmark takes a VGG.")
        if architecture.last_pool != "max" or architecture.averaged:
            raise click.ClickException(
                "--model must end its blocks with max pools; this benchmark knows no others."
            )
        return architecture

    @property
    def original_macs(self) -> int:
        """Multiply-accumulates of the unpruned network for one image."""
        return int(self.genome(self.genome.layout.full()[None]).macs[0])

    def evaluator(self) -> LocalEvaluator:
        """Ours, with the batch and the precision that a search takes on this device."""
        return LocalEvaluator(
            self.model, self.genome.layout, self.images, self.labels, batch=usual_batch(), precision="auto"
        )


def load_subject(**options: Any) -> Subject:
    """What :func:`subject_options` name: a stored model or an untrained VGG-16, real images or random pixels.

    Raises:
        click.ClickException: the model or the data cannot be read, or do not fit each other.
    """
    try:
        return _load(**options)
    except (EvopruneError, NetworkError) as error:
        raise click.ClickException(str(error)) from error


def _load(
    model: Path | None, data: str | None, data_dir: str | None, images: int, width_multiplier: float
) -> Subject:
    if model is None:
        normalisation = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        network = NETWORKS["vgg16"](width_multiplier=width_multiplier).build()
        loaded = Model(network, normalisation, tuple("0123456789"))
        of = f"an untrained VGG-16 of width {width_multiplier:g}"
    else:
        loaded = model_directory.load(model)
        of = f"a stored {loaded.network.architecture.name}"
    genome = Genome.of(loaded.network)
    if data is not None:
        found = load_images(DataOptions(data, data_dir, "test", images), loaded)
        return Subject(loaded, genome, found.images, found.labels, f"{of}, {len(found)} test images of {data}")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, *loaded.network.architecture.input_shape), dtype=np.uint8)
    labels = rng.integers(0, len(loaded.classes), images).astype(np.int32)
    return Subject(loaded, genome, pixels, labels, f"{of}, {images} images of random pixels")


def subject_options(images: int) -> Callable[[Command], Command]:
    """``--model``, ``--data``, ``--data-dir``, ``--images`` and ``--width-multiplier``."""

    def decorate(command: Command) -> Command:
        options = [
            click.option(
                "--model",
                type=click.Path(path_type=Path),
                help="Model directory; an untrained VGG-16 if not given.",
            ),
            click.option("--data", default=None, help="Data set; random pixels if not given."),
            click.option("--data-dir", envvar="EVOPRUNE_DATA_DIR"),
            click.option("--images", default=images, show_default=True, type=click.IntRange(1)),
            click.option("--width-multiplier", default=1.0, show_default=True, help="Of the untrained VGG-16."),
        ]
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def even_batches(total: int, largest: int) -> list[slice]:
    """Runs of at most ``largest`` images whose lengths differ by one at most: no small batch at the end."""
    count = -(-total // largest)
    edges = [total * i // count for i in range(count + 1)]
    return [slice(first, last) for first, last in pairwise(edges)]
