"""Compares pruning methods on one network at equal accuracy: the ``baseline`` command."""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.search.evaluation import checked_original
from experiments.baselines.methods import SEARCHES, Trail, along, at, searched, single
from experiments.baselines.options import BaselineOptions
from experiments.baselines.page import baseline_table, write_baselines
from experiments.baselines.refitting import RefittingEvaluator
from experiments.baselines.steps import TemporarySteps
from experiments.baselines.subject import Subject
from experiments.progress import Reporter, Silent
from experiments.runs.building import report_precision
from experiments.runs.knowledge.compensation import not_compensated
from experiments.runs.knowledge.importances import compute_importances
from experiments.runs.knowledge.latency import LATENCY, measured
from experiments.runs.options import NONE
from experiments.spelling import measured_as
from fitness.importance import IMPORTANCES
from fitness.importance.contract import ImportanceError
from fitness.objective.cost import CostObjective, MaskLatency
from fitness.seeding.ranking import removal_order
from models import output_directory
from models.latency.table import LatencyTable


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
        options: of the comparison.
        run: a search of this model, whose BEST is evaluated too.
        out: a new directory for table, figure, numbers, and each method's best mask or, with ``ratios``, all its
            masks; None writes nothing.
            Until then ``OUT.partial`` keeps the finished methods, and the same call continues with the others.
        reporter: receives sentences for the user.

    Returns:
        ``methods``: by name, :meth:`experiments.baselines.methods.Trail.to_json`; the curve of an importance is
        in order of filters removed, with ``ratios`` the original and one point for each ratio; the curve of a
        search has its successive BESTs. ``compensation`` and ``refit_images``: of all their masks, with what the
        former leaves out as sentences in ``not_compensated``. ``run``: the figures of the run's BEST, or None.
        ``left_out``: usual methods that could not be computed, with the reason. ``table``:
        Markdown. ``files``: the files written.

    Raises:
        OptionError: see :meth:`BaselineOptions.chosen`; or ``run`` is given with ``ratios``.
        ImportanceError: the model lacks what a method that was named needs.
        CompensationError: the network has nothing to compensate.
        RunError: the run is of another model or of other filters, or has no BEST yet.
        StoreError: ``out`` is occupied.
        EvopruneError, NetworkError: model or data cannot be used.
    """
    reporter = reporter or Silent()
    if out is not None:
        output_directory.check_target(out)
    subject = Subject.load(directory, options, run, reporter)
    steps = TemporarySteps(out, subject.identity())
    objective = _objective(subject, steps, reporter)
    # Before any mask is evaluated: a method that cannot be computed is refused now, not after an hour.
    importances, left_out = _importances(subject, steps, reporter)
    comparison = _evaluate(subject, objective, importances, left_out, steps, reporter)
    result = comparison.to_json()
    result["table"] = measured_as(baseline_table(result), result["measure"])
    result["files"] = [] if out is None else write_baselines(out, result, comparison.masks(), subject.title)
    steps.remove()
    return result


@dataclass(frozen=True)
class MethodComparison:
    """The masks of each method, evaluated.

    Attributes:
        subject: of the comparison.
        original_correct: count of the original network.
        precision_difference: see :func:`experiments.runs.building.report_precision`.
        trails: by method.
        champion: the run's BEST, or None.
        left_out: reasons by method.
    """

    subject: Subject
    original_correct: int
    precision_difference: Any
    trails: dict[str, Trail]
    champion: Trail | None
    left_out: dict[str, str]

    def masks(self) -> dict[str, np.ndarray]:
        """The best mask ``bool[f]`` of each method; with ratios, the masks ``bool[n, f]`` of all ratios."""
        ratios = self.subject.options.ratios is not None
        return {
            name: trail.masks[1:] if ratios else trail.masks[trail.best] for name, trail in self.trails.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        subject, options = self.subject, self.subject.options
        return {
            "split": subject.images.split,
            "total": len(subject.images),
            "original_correct": self.original_correct,
            "threshold": options.threshold,
            "objective": options.objective,
            "ratios": None if options.ratios is None else list(options.ratios),
            "scope": options.scope,
            "floor": options.floor,
            "seed": options.data.seed,
            "importance_images": None if subject.seen is None else len(subject.seen),
            "precision_difference": self.precision_difference,
            "compensation": options.compensate,
            "refit_images": subject.refit_images,
            "not_compensated": not_compensated(subject.model.network, subject.compensation),
            "methods": {name: trail.to_json() for name, trail in self.trails.items()},
            "run": self._run(),
            "left_out": self.left_out,
            **subject.facts.to_json(),
        }

    def _run(self) -> dict[str, Any] | None:
        best, champion = self.subject.best, self.champion
        if best is None or champion is None:
            return None
        figures = champion.to_json()
        [_, point] = figures["curve"]
        return {
            "location": best.location,
            "generation": best.generation,
            "evaluations": best.evaluations,
            "compensation": best.compensation.method if best.compensation else NONE,
            **point,
            "within_threshold": bool(champion.appraisal.feasible[1]),
            "sha256": figures["sha256"],
        }


def _objective(subject: Subject, steps: TemporarySteps, reporter: Reporter) -> CostObjective:
    options, genome = subject.options, subject.genome
    latency = None
    if options.objective == LATENCY:

        def timed() -> dict[str, Any]:
            return measured(genome, options.latency_batch, reporter).to_json()

        # Kept as a run keeps it: no two tables are equal, and masks are chosen by the table.
        latency = MaskLatency(LatencyTable.from_json(steps.once("latency", timed)), genome.layout)
    return CostObjective(genome, options.threshold, rewarded=options.objective, latency=latency)


def _importances(
    subject: Subject, steps: TemporarySteps, reporter: Reporter
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Importances by method, and the reasons why usual methods could not be computed."""
    found: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    options, images = subject.options, subject.seen
    if images is None:
        return found, left_out

    def computed(name: str) -> list[float]:
        scores = compute_importances((name,), subject.model, subject.genome, images, options.data.seed, reporter)
        return [float(score) for score in scores[name]]

    for name in subject.methods:
        if name not in IMPORTANCES:
            continue
        try:
            found[name] = np.array(steps.once(f"importance-{name}", partial(computed, name)))
        except ImportanceError as error:
            if options.methods is not None:
                raise
            left_out[name] = str(error)
            reporter.message(f"{name} is left out: {error}")
    return found, left_out


def _evaluate(
    subject: Subject,
    objective: CostObjective,
    importances: dict[str, np.ndarray],
    left_out: dict[str, str],
    steps: TemporarySteps,
    reporter: Reporter,
) -> MethodComparison:
    """Evaluate the masks of each method, and the run's BEST."""
    options, genome, best, budget = subject.options, subject.genome, subject.best, subject.budget
    trails: dict[str, Trail] = {}
    champion = None
    # Searches stop masks early, so the images that tell most come first.
    with subject.evaluator(subject.compensation, order="hardest-first", pauses=True) as evaluator:
        precision_difference = report_precision(evaluator, reporter)
        refitting = None if options.refit_images is None else RefittingEvaluator(subject)
        original = checked_original(evaluator.evaluate(genome.layout.full()[None])[0])

        def tried(name: str) -> dict[str, Any]:
            reporter.message(f"{name}: evaluating masks on {evaluator.total:,} images.")
            if name in SEARCHES:
                assert budget is not None
                return searched(name, genome, evaluator, objective, budget, options.data.seed).raw()
            if options.ratios is not None:
                shares = [ratio / 100 for ratio in options.ratios]
                return at(shares, importances[name], genome, refitting or evaluator, objective).raw()
            order = removal_order(importances[name], genome.layout, scope=options.scope, floor=options.floor)
            return along(order, genome, evaluator, objective).raw()

        for name in subject.methods:
            if name not in left_out:
                # The budget decides what a search finds.
                step = f"{name}-{budget}" if name in SEARCHES else name
                raw = steps.once(step, partial(tried, name))
                trails[name] = Trail.restored(raw, evaluator.total, genome, objective)
    if best is not None:
        with subject.evaluator(best.compensation) as evaluator:
            champion = single(best.mask, genome, evaluator, objective)
    return MethodComparison(subject, original, precision_difference, trails, champion, left_out)
