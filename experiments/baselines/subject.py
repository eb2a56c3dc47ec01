"""The model, images, run and options that methods are compared on."""

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from engine.errors import OptionError
from experiments.baselines.options import BaselineOptions
from experiments.baselines.plots import compensated_by
from experiments.baselines.searched_best import SearchedBest, read_best, searched_filters
from experiments.data.calibration import TRAIN_SPLIT, calibration_places
from experiments.data.datasets import ImageSet
from experiments.data.facts import DataFacts
from experiments.data.loading import load_images, open_images
from experiments.measurement.measuring import read_model
from experiments.measurement.standing import check_standing
from experiments.progress import Reporter
from experiments.runs.knowledge.compensation import gather, not_compensated
from experiments.runs.knowledge.importances import importance_images
from fitness.evaluation.evaluator import LocalEvaluator, on_gpu, usual_batch
from fitness.evaluation.precision import resolved
from fitness.genome import Genome
from fitness.importance import IMPORTANCES
from models.compensation.aims import check_readers
from models.compensation.method import Compensation
from models.model_directory import Model

CONVOLUTIONS = "convolutions"


@dataclass(frozen=True)
class Subject:
    """What all methods are compared on.

    Attributes:
        model: the original network.
        options: of the comparison; ``prune`` is resolved.
        genome: the filters that may go.
        images: that masks are evaluated on.
        seen: images that importances are computed on; None if no method needs importances.
        compensation: of the masks of all methods, or None.
        fitted: training images that the weights of each mask are refitted to, or None.
        best: BEST of the run, or None.
        methods: names in order.
        budget: masks that each search tries; None if no search is compared.
        facts: what was noticed about the images.
    """

    model: Model
    options: BaselineOptions
    genome: Genome
    images: ImageSet
    seen: ImageSet | None
    compensation: Compensation | None
    fitted: ImageSet | None
    best: SearchedBest | None
    methods: tuple[str, ...]
    budget: int | None
    facts: DataFacts

    @classmethod
    def load(
        cls, directory: Path, options: BaselineOptions, run: str | os.PathLike[str] | None, reporter: Reporter
    ) -> Self:
        """Read model, images and run.

        Raises:
            EvopruneError, NetworkError: see :func:`experiments.baselines.method_comparison.compare_baselines`.
        """
        if run is not None and options.ratios is not None:
            raise OptionError("`run` searched without the shares of `ratios`; leave one of the two out.")
        model = read_model(directory, reporter)
        if options.prune is None:
            options = replace(options, prune=CONVOLUTIONS if run is None else searched_filters(run))
        genome = Genome.of(model.network, str(options.prune))
        best = None if run is None else read_best(run, model, genome, reporter)
        budget = options.budget or (None if best is None else best.evaluations)
        methods = options.chosen(budget)
        images = load_images(options.data, model, reporter)
        _, warnings = check_standing(model, images, reporter, force=options.force, threshold=options.threshold)
        ranked = any(name in IMPORTANCES for name in methods)
        seen = importance_images(options.data, options.importance_images, model) if ranked else None
        compensation = gather(
            model,
            genome,
            options.compensate,
            options.compensation_images,
            options.data,
            options.calibration_images,
            reporter,
        )
        for missing in not_compensated(model.network, compensation):
            reporter.message(missing)
        fitted = None if options.refit_images is None else _images_to_refit_to(options, model, reporter)
        facts = DataFacts.of(images, warnings)
        return cls(model, options, genome, images, seen, compensation, fitted, best, methods, budget, facts)

    @property
    def title(self) -> str:
        """Of the page."""
        network, data = self.model.network.architecture.name, self.options.data.data
        how = compensated_by(self.options.compensate, self.refit_images)
        return f"{network} on {data}: filters removed without retraining{how}"

    @property
    def refit_images(self) -> int | None:
        """Number of images that weights are refitted to; None without a refit."""
        return None if self.fitted is None else len(self.fitted)

    def identity(self) -> dict[str, Any]:
        """Everything that decides the result of a method, except a search's budget."""
        options = self.options
        without = ("data", "methods", "budget", "force")
        chosen = {name: value for name, value in asdict(options).items() if name not in without}
        calibration = None if self.compensation is None else self.compensation.calibration
        return {
            **chosen,
            "precision": resolved(options.precision, on_gpu()),
            "seed": options.data.seed,
            "model": self.model.digest(),
            "images": self.images.digest(),
            "importance_images": None if self.seen is None else self.seen.digest(),
            "fitted": None if self.fitted is None else self.fitted.digest(),
            "compensation": None if self.compensation is None else self.compensation.digest(),
            "calibration": None if calibration is None else calibration.digest(),
        }

    def evaluator(self, compensation: Compensation | None, **options: Any) -> LocalEvaluator:
        """An evaluator on the images; ``options`` as for :class:`LocalEvaluator`."""
        arrays = (self.model, self.genome.layout, self.images.images, self.images.labels)
        return LocalEvaluator(
            *arrays, usual_batch(), precision=self.options.precision, compensation=compensation, **options
        )


def _images_to_refit_to(options: BaselineOptions, model: Model, reporter: Reporter) -> ImageSet:
    """Training images in memory, others than those that are counted if there are enough.

    Raises:
        CompensationError: the network names no weights that read its filters.
        DataError: the training split cannot be read, or does not fit the model.
    """
    check_readers(model.network)
    assert options.refit_images is not None, "no refit is wanted"
    places, counted = calibration_places(options.data, options.refit_images)
    if counted:
        reporter.message(
            f"{counted:,} of the {len(places):,} images that weights are refitted to are counted too."
        )
    return open_images(replace(options.data, split=TRAIN_SPLIT, images=None), model, places=places).decoded()
