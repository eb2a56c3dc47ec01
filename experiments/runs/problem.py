"""The problem of a search: everything that decides which masks it visits and what they count."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.data.datasets import ImageSet
from experiments.data.facts import DataFacts
from experiments.data.loading import load_images, settled
from experiments.measurement.measuring import read_model
from experiments.measurement.standing import check_standing
from experiments.progress import Reporter, Silent
from experiments.runs.options import SearchOptions
from fitness.genome import Genome
from models.model_directory import Model


@dataclass(frozen=True)
class Problem:
    """A model, the filters that may go, the fitness images and the options of a search.

    Attributes:
        options: of the search, with ``batch_size`` and ``precision`` settled (:meth:`SearchOptions.on`).
        model: the unpruned network.
        genome: the filters that a mask speaks about.
        reporter: told before each long step.
    """

    options: SearchOptions
    model: Model
    genome: Genome
    reporter: Reporter = field(default_factory=Silent, repr=False, compare=False)

    @classmethod
    def load(cls, options: SearchOptions, reporter: Reporter) -> "Problem":
        """Read the model; the images are read when they are first asked for.

        Raises:
            StoreError: the model cannot be read.
            OptionError: the network has no filters of the kind asked for.
        """
        model = read_model(Path(options.model), reporter)
        # Kept in the run, so that a model whose notes change later is shown the same images.
        options = replace(options, data=settled(options.data, model))
        return cls(options, model, Genome.of(model.network, options.prune), reporter)

    @cached_property
    def images(self) -> ImageSet:
        """The fitness images, in the order of the data.

        Raises:
            DataError: the data cannot be read, or does not fit the model.
        """
        return load_images(self.options.data, self.model, self.reporter)

    @cached_property
    def evaluation_images(self) -> ImageSet:
        """The fitness images in the order in which masks are evaluated on them."""
        # The first images of a race have to be a random sample of all; files are often sorted by class.
        racing = self.options.settings.race > 0
        return self.images.shuffled(self.options.data.seed) if racing else self.images

    def check(self) -> dict[str, Any]:
        """See that the unpruned network is worth a search, before anything long begins.

        Returns:
            What ``run.json`` says of labels, of warnings and remarks, and of the unpruned network.

        Raises:
            DataError, EvaluationError: see :func:`experiments.measurement.standing.check_standing`.
        """
        options, images = self.options, self.images
        allowed = options.limit if options.aims else options.threshold
        standing, warnings = check_standing(
            self.model, images, self.reporter, force=options.force, threshold=allowed
        )
        return {**DataFacts.of(images, warnings).to_json(), "original": standing.to_json()}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What ``run.json`` says of the model, the filters and the images."""
        layout = self.genome.layout
        return {
            "model_digest": self.model.digest(),
            "images_digest": self.images.digest(),
            "images": len(self.images),
            "layout": {"names": layout.names, "sizes": layout.sizes},
        }

    def identity(self, digests: dict[str, str]) -> str:
        """SHA-256 of everything that decides the course of the search; ``digests``: of its artifacts."""
        options = self.options
        course = {
            "settings": asdict(options.settings),
            "objective": [options.objective, options.threshold, options.weight, options.offset],
            "objectives": [options.aims, options.limit] if options.aims else None,
            # How far the search goes beyond the threshold is learned for the finish.
            "finish": options.finish,
            "seeds": [options.seeds, options.floor, options.climb],
            "evaluation": [options.batch_size, options.precision],
            # The order of the images matters to a race alone; the digest of the images covers their choice.
            "order": options.data.seed if options.settings.race > 0 else None,
        }
        content = json.dumps({**self.facts, **digests, **course}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
