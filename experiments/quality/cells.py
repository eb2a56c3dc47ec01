"""One cell of the protocol: one method with one compensation, seed and threshold, and its BEST."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.baseline_methods import SEARCHES, along, searched
from experiments.budgeted_run import run_until
from experiments.importances import compute_importances
from experiments.measuring import DataOptions, load_images
from experiments.progress import Reporter
from experiments.quality.methods import GENETIC, RANKINGS, genetic_options
from fitness.evaluator import CPU_BATCH, GPU_BATCH, LocalEvaluator, on_gpu
from fitness.genome import Genome
from fitness.objective import CostObjective
from fitness.ranking import removal_order
from fitness.rewards import OBJECTIVES
from models.compensation.compensation import Compensation
from models.store import Model


@dataclass(frozen=True)
class Cell:
    """What is run; ``compensate`` as the option of that name."""

    method: str
    compensate: str
    threshold: float
    seed: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.method}-{self.compensate}-{self.threshold:g}-{self.seed}"


@dataclass(frozen=True)
class Found:
    """BEST of a cell: its mask ``bool[f]`` of a genome, and how it was come by.

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
) -> Found:
    """Run a cell until its budget is spent; a genetic search is a run in ``folder``, which is continued."""
    if cell.method in GENETIC:
        return _genetic(cell, folder, model_directory, model, data, evaluations, rewarded, reporter)
    genome = Genome.of(model.network, "all")
    objective = CostObjective(genome, cell.threshold, rewarded=rewarded)
    images = load_images(data, model)
    importances = {}
    if cell.method in RANKINGS:
        importance, floor = RANKINGS[cell.method]
        importances = compute_importances((importance,), model, genome, images, 0, reporter)
    batch = GPU_BATCH if on_gpu() else CPU_BATCH
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
    # The order of what is tried on a ladder means nothing, nor does an Incumbent know when its BESTs came.
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
    run, checkpoint = run_until(folder, options, evaluations, reporter)
    rows = run.journal()
    best = checkpoint.state.best
    return Found(
        Genome.of(model.network, options.prune),
        best.individual.mask,
        checkpoint.state.evaluations,
        [(row["evaluations"], row["best"][OBJECTIVES[rewarded].figure]) for row in rows],
        dict(best.figures),
    )
