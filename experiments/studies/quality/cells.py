"""One cell of the protocol: one method with one compensation, seed and threshold, and its BEST."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.baselines.budgeted_run import run_until
from experiments.baselines.methods import SEARCHES, along, searched
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from experiments.progress import Reporter
from experiments.runs.knowledge.importances import compute_importances
from experiments.studies.quality.methods import GENETIC, RANKINGS, genetic_options
from fitness.evaluation.evaluator import LocalEvaluator, usual_batch
from fitness.genome import Genome
from fitness.objective.cost import CostObjective
from fitness.objective.rewards import OBJECTIVES
from fitness.seeding.ranking import removal_order
from models.compensation.method import Compensation
from models.model_directory import Model


@dataclass(frozen=True)
class Cell:
    """A method with the conditions that it runs in; ``compensate`` is a value of that option."""

    method: str
    compensate: str
    threshold: float
    seed: int

    @property
    def name(self) -> str:
        """Name of the files of the cell."""
        return f"{self.method}-{self.compensate}-{self.threshold:g}-{self.seed}"


@dataclass(frozen=True)
class Found:
    """BEST of a cell: the mask ``bool[f]`` of a genome, and the course of the search.

    ``curve``: (evaluations so far, the rewarded drop of BEST); ``figures``: of BEST on fitness images.
    """

    genome: Genome
    mask: np.ndarray
    evaluations: int
    curve: list[tuple[int, float]]
    figures: dict[str, Any]


def run_cell(
    cell: Cell,
    folder: Path,
    model_directory: str,
    model: Model,
    data: DataOptions,
    evaluations: int,
    compensation: Compensation | None,
    rewarded: str,
    reporter: Reporter,
    force: bool = False,
) -> Found:
    """Run a cell until its budget is spent; a genetic search is a run in ``folder``, which is continued."""
    if cell.method in GENETIC:
        return _genetic(cell, folder, model_directory, model, data, evaluations, rewarded, reporter, force)
    genome = Genome.of(model.network, "all")
    objective = CostObjective(genome, cell.threshold, rewarded=rewarded)
    images = load_images(data, model)
    importances = {}
    if cell.method in RANKINGS:
        importance, floor = RANKINGS[cell.method]
        importances = compute_importances((importance,), model, genome, images, 0, reporter)
    batch = usual_batch()
    arrays = (model, genome.layout, images.images, images.labels, batch)
    # Searches stop masks early, so the images that tell most come first.
    stops = cell.method in SEARCHES
    order = "hardest-first" if stops else "given"
    with LocalEvaluator(*arrays, compensation=compensation, order=order, pauses=stops) as evaluator:
        if cell.method in RANKINGS:
            leaving = removal_order(importances[importance], genome.layout, floor=floor)
            trail = along(leaving, genome, evaluator, objective)
        else:
            trail = searched(cell.method, genome, evaluator, objective, evaluations, cell.seed)
    drops = trail.appraisal.figures[OBJECTIVES[rewarded].figure]
    figures = {name: values[trail.best].item() for name, values in trail.appraisal.figures.items()}
    # The order of masks on a ladder means nothing, and an Incumbent does not record when a BEST was found.
    curve = [(trail.evaluations, float(drops[trail.best]))]
    return Found(genome, trail.masks[trail.best], trail.evaluations, curve, figures)


def _genetic(
    cell: Cell,
    folder: Path,
    model_directory: str,
    model: Model,
    data: DataOptions,
    evaluations: int,
    rewarded: str,
    reporter: Reporter,
    force: bool,
) -> Found:
    options = genetic_options(
        cell.method,
        model_directory,
        data,
        seed=cell.seed,
        threshold=cell.threshold,
        compensate=cell.compensate,
        evaluations=evaluations,
        objective=rewarded,
    )
    run, checkpoint = run_until(folder, replace(options, force=force), evaluations, reporter)
    rows = run.journal()
    best = checkpoint.state.best
    return Found(
        Genome.of(model.network, options.prune),
        best.individual.mask,
        checkpoint.state.evaluations,
        [(row["evaluations"], row["best"][OBJECTIVES[rewarded].figure]) for row in rows],
        dict(best.figures),
    )
