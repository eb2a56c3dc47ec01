"""What other methods make of a network, to compare a search with: the ``baseline`` command."""

import os
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import OptionError
from engine.evaluation import checked_original
from experiments import compensating, latency_table
from experiments.baseline_methods import METHODS, SEARCHES, USUAL, Trail, along, searched, single
from experiments.baseline_page import baseline_table, write_baselines
from experiments.datasets import ImageSet
from experiments.evaluators import report_precision
from experiments.importances import SPLIT, compute_importances, importance_images, named_methods
from experiments.kept_results import KeptResults
from experiments.measuring import DataOptions, load_images
from experiments.progress import Reporter, Silent
from experiments.searched_model import SearchedBest, read_best, searched_filters
from fitness.evaluator import CPU_BATCH, GPU_BATCH, LocalEvaluator, on_gpu
from fitness.genome import Genome
from fitness.importance import IMPORTANCES
from fitness.importance.errors import ImportanceError
from fitness.latency import MaskLatency
from fitness.objective import CostObjective
from fitness.precision import resolved
from fitness.ranking import check_scope, removal_order
from fitness.rewards import OBJECTIVES, check_objective
from models import output_directory, store
from models.latency.table import LatencyTable
from models.store import Model

CONVOLUTIONS = "convolutions"


@dataclass(frozen=True)
class BaselineOptions:
    """Options of ``evoprune baseline``.

    Attributes:
        data: the images that masks are evaluated on.
        methods: names joined by commas; None: the usual ones, without those that lack something.
        threshold: accuracy drop allowed, percent.
        prune: which filters; None: those that the run searched, convolutions without one.
        scope: how importances of different layers compare (:mod:`fitness.ranking`).
        floor: share of each layer's filters that stays.
        importance_images: images of the training split that importances are computed on; None: 1,000, or all.
        budget: masks that each search tries; None: as many as the run has.
        objective: what the searches are to drop and methods are ranked by, a key of
            :data:`fitness.rewards.OBJECTIVES`.
        latency_batch: images at a time that latency is measured for.
        precision: of evaluation; see :mod:`fitness.precision`.

    Raises:
        OptionError: a value out of its range.
    """

    data: DataOptions
    methods: str | None = None
    threshold: float = 2.0
    prune: str | None = None
    scope: str = "global"
    floor: float = 0.0
    importance_images: int | None = None
    budget: int | None = None
    precision: str = "auto"
    objective: str = "parameters"
    latency_batch: int = 1

    def __post_init__(self) -> None:
        check_scope(self.scope, self.floor)
        check_objective(self.objective)
        if self.budget is not None and self.budget < 1:
            raise OptionError(f"--budget must be 1 or more masks, not {self.budget}.")

    def chosen(self, budget: int | None) -> tuple[str, ...]:
        """The methods to compare; the usual ones without those that are not known here or have no budget.

        Raises:
            OptionError: a name is unknown or given twice, or a search that was named has no budget.
        """
        if self.methods is None:
            return tuple(name for name in USUAL if name in METHODS and (budget or name not in SEARCHES))
        names = named_methods(self.methods, "--methods", METHODS)
        for name in names:
            if name in SEARCHES and budget is None:
                raise OptionError(f"--methods {name} needs --budget MASKS, or --run to take its budget from.")
        return names


def compare_baselines(
    directory: Path,
    options: BaselineOptions,
    *,
    run: str | os.PathLike[str] | None = None,
    out: Path | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Evaluate masks of each method on the same images, without retraining.

    Args:
        directory: of the model.
        options: see there.
        run: a search of this model, whose BEST is evaluated too.
        out: a new directory for table, figure, numbers, and each method's best mask; None: nothing is written.
            Until it is there ``OUT.partial`` keeps what is finished, and the same call goes on from that.
        reporter: receives sentences for the user.

    Returns:
        ``methods``: by name, :meth:`experiments.baseline_methods.Trail.to_json`; the curve of an importance is in
        order of filters removed, that of a search has the BESTs that it had. ``run``: the figures of the run's
        BEST, or None. ``left_out``: usual methods that could not be had, with the reason. ``table``: Markdown.
        ``files``: what was written.

    Raises:
        OptionError: see :meth:`BaselineOptions.chosen`.
        ImportanceError: the model lacks what a method that was named needs.
        RunError: the run is of another model or of other filters, or has no BEST yet.
        StoreError: ``out`` is occupied.
        EvopruneError, NetworkError: model or data cannot be used.
    """
    reporter = reporter or Silent()
    if out is not None:
        output_directory.check_target(out)
    model = store.load(directory)
    if options.prune is None:
        options = replace(options, prune=CONVOLUTIONS if run is None else searched_filters(run))
    genome = Genome.of(model.network, str(options.prune))
    best = None if run is None else read_best(run, model, genome, reporter)
    budget = options.budget or (None if best is None else best.evaluations)
    names = options.chosen(budget)
    images = load_images(options.data, model)
    ranked = tuple(name for name in names if name in IMPORTANCES)
    seen = importance_images(options.data, options.importance_images, model) if ranked else None
    kept = KeptResults(out, _identity(options, model, images, seen))

    latency = _latency(genome, options, kept, reporter) if options.objective == latency_table.LATENCY else None
    objective = CostObjective(genome, options.threshold, rewarded=options.objective, latency=latency)
    # Before any mask is evaluated: a method that cannot be had is refused now, not after an hour.
    importances, left_out = (
        ({}, {}) if seen is None else _importances(ranked, model, genome, seen, options, kept, reporter)
    )
    batch = GPU_BATCH if on_gpu() else CPU_BATCH
    data = (model, genome.layout, images.images, images.labels, batch)
    trails: dict[str, Trail] = {}
    # Searches stop masks early, so the images that tell most come first.
    with LocalEvaluator(*data, precision=options.precision, order="hardest-first", pauses=True) as evaluator:
        precision_difference = report_precision(evaluator, reporter)
        original = checked_original(evaluator.evaluate(genome.layout.full()[None])[0])

        def tried(name: str) -> dict[str, Any]:
            reporter.message(f"{name}: evaluating masks on {evaluator.total:,} images.")
            if name in SEARCHES:
                assert budget is not None
                return searched(name, genome, evaluator, objective, budget, options.data.seed).raw()
            order = removal_order(importances[name], genome.layout, scope=options.scope, floor=options.floor)
            return along(order, genome, evaluator, objective).raw()

        for name in (name for name in names if name not in left_out):
            # How much a search may try decides what it finds.
            part = f"{name}-{budget}" if name in SEARCHES else name
            raw = kept.once(part, partial(tried, name))
            trails[name] = Trail.restored(raw, evaluator.total, genome, objective)
        champion = None if best is None or best.compensation else single(best.mask, genome, evaluator, objective)
    if best is not None and best.compensation:
        with LocalEvaluator(*data, precision=options.precision, compensation=best.compensation) as evaluator:
            champion = single(best.mask, genome, evaluator, objective)
    result: dict[str, Any] = {
        "split": images.split,
        "total": len(images),
        "original_correct": original,
        "threshold": options.threshold,
        "objective": options.objective,
        "importance_images": None if seen is None else len(seen),
        "precision_difference": precision_difference,
        "methods": {name: trail.to_json() for name, trail in trails.items()},
        "run": None if best is None or champion is None else _run_json(best, champion),
        "left_out": left_out,
    }
    result["table"] = baseline_table(result)
    masks = {name: trail.masks[trail.best] for name, trail in trails.items()}
    title = f"{model.network.architecture.name} on {options.data.data}: filters removed without retraining"
    result["files"] = [] if out is None else write_baselines(out, result, masks, title, _details(options, result))
    kept.remove()
    return result


def _latency(genome: Genome, options: BaselineOptions, kept: KeptResults, reporter: Reporter) -> MaskLatency:
    """From a table that is kept, as a run keeps it: no two are equal, and masks are chosen by them."""

    def measured() -> dict[str, Any]:
        table = latency_table.measured(genome, options.objective, options.latency_batch, reporter)
        assert table is not None
        return table.to_json()

    return MaskLatency(LatencyTable.from_json(kept.once("latency", measured)), genome.layout)


def _importances(
    names: tuple[str, ...],
    model: Model,
    genome: Genome,
    images: ImageSet,
    options: BaselineOptions,
    kept: KeptResults,
    reporter: Reporter,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Importances by method, and the reasons why usual ones could not be computed."""
    found: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}

    def computed(name: str) -> list[float]:
        computed = compute_importances((name,), model, genome, images, options.data.seed, reporter)
        return [float(number) for number in computed[name]]

    for name in names:
        try:
            found[name] = np.array(kept.once(f"importance-{name}", partial(computed, name)))
        except ImportanceError as error:
            if options.methods is not None:
                raise
            left_out[name] = str(error)
            reporter.message(f"{name} is left out: {error}")
    return found, left_out


def _identity(
    options: BaselineOptions,
    model: Model,
    images: ImageSet,
    seen: ImageSet | None,
) -> dict[str, Any]:
    """All that decides what a method comes to, but for a search's budget."""
    chosen = {name: value for name, value in asdict(options).items() if name not in ("data", "methods", "budget")}
    return {
        **chosen,
        "precision": resolved(options.precision, on_gpu()),
        "seed": options.data.seed,
        "model": model.digest(),
        "images": images.digest(),
        "importance_images": None if seen is None else seen.digest(),
    }


def _run_json(best: SearchedBest, champion: Trail) -> dict[str, Any]:
    figures = champion.to_json()
    [_, point] = figures["curve"]
    known = {"location": best.location, "generation": best.generation, "evaluations": best.evaluations}
    known["compensation"] = best.compensation.method if best.compensation else compensating.NONE
    return {
        **known,
        **point,
        "within_threshold": bool(champion.appraisal.feasible[1]),
        "sha256": figures["sha256"],
    }


def _details(options: BaselineOptions, result: dict[str, Any]) -> dict[str, str]:
    seen = result["importance_images"]
    ranking = (
        {}
        if seen is None
        else {"importances": f"on {seen:,} images of the {SPLIT} split; {options.scope}, floor {options.floor:g}"}
    )
    return {
        "images": f"{result['total']:,} of the {result['split']} split",
        "threshold": f"{options.threshold:g}% accuracy drop",
        "objective": f"to drop {OBJECTIVES[options.objective].noun}",
        **ranking,
        "seed": f"{options.data.seed}",
        **{f"{name} is left out": reason for name, reason in result["left_out"].items()},
    }
