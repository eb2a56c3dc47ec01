"""Runs every cell of the protocol once, and measures BEST on all images of both splits."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import OptionError
from engine.options import named_once
from engine.stores.atomic import write_atomically
from experiments.baselines.steps import Steps
from experiments.data import datasets
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from experiments.measurement.standing import check_standing
from experiments.progress import Reporter, Silent
from experiments.report.figures.run_figures import render_figures
from experiments.runs.knowledge.compensation import gather
from experiments.runs.options import NONE
from experiments.studies.quality.cells import Cell, run_cell
from experiments.studies.quality.methods import METHODS, RANKINGS
from experiments.studies.quality.page import drop_figures, tables
from experiments.studies.study_folder import study_steps, write_results
from fitness.evaluation.evaluator import LocalEvaluator, usual_batch
from fitness.genome import Genome
from fitness.objective.cost import percent_drop
from models import model_directory
from models.compensation.coefficients import METHODS as COMPENSATIONS
from models.compensation.method import Compensation
from models.model_directory import Model

SPLITS = ("train", "test")
CELLS = "cells"
COMPENSATION_IMAGES = 1_500


@dataclass(frozen=True)
class QualityOptions:
    """Options of the protocol.

    Attributes:
        model: directory.
        data: fitness images, the same for all cells; their seed is that of the choice of images.
        evaluations: masks that each search may evaluate; the generation that reaches the budget is finished.
            Masks that were stopped early count in full.
        seeds: number of seeds, from 0 on.
        methods: names joined by commas.
        compensations: ``--compensate`` values joined by commas.
        thresholds: accuracy drops allowed, percent.
        objective: ``parameters`` or ``macs``.
        train_images: of the training split that BESTs are measured on in the end, a seeded part; None: all.
        force: go on with a network that is no better than chance.

    Raises:
        OptionError: a value out of its range.
    """

    model: str
    data: DataOptions
    evaluations: int = 1_000
    seeds: int = 3
    methods: str = ",".join(METHODS)
    compensations: str = "none,linear"
    thresholds: tuple[float, ...] = (2.0,)
    objective: str = "parameters"
    train_images: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        for name in ("evaluations", "seeds", "train_images"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise OptionError(f"`{name}` must be 1 or more, not {number}.")
        self.cells()

    def cells(self) -> list[Cell]:
        """All cells, first seeds first, so that an unfinished protocol has results of every method."""
        compensations = named_once(self.compensations, "compensations", (NONE, *COMPENSATIONS), "method")
        methods = named_once(self.methods, "methods", METHODS, "method")
        return [
            Cell(method, compensate, threshold, seed)
            for seed in range(self.seeds)
            for threshold in self.thresholds
            for compensate in compensations
            for method in methods
            # One order is the same whatever the seed.
            if seed == 0 or method not in RANKINGS
        ]


def run_quality(out: Path, options: QualityOptions, reporter: Reporter | None = None) -> dict[str, Any]:
    """Fill ``out``: ``results.json``, ``tables.md``, figures, and a run for each genetic search.

    The same call continues an interrupted protocol. Other methods, compensations, thresholds and more seeds are
    added to the results; files and figures show all finished cells.

    Raises:
        RunError: ``out`` holds something else.
        OptionError, EvopruneError, NetworkError: model, data or options cannot be used.
    """
    reporter = reporter or Silent()
    model = model_directory.load(Path(options.model))
    options = replace(options, model=str(Path(options.model).resolve()), data=options.data.resolved())
    check_standing(model, load_images(options.data, model), reporter, force=options.force)
    out = Path(out)
    steps = study_steps(
        out,
        model,
        options.data,
        evaluations=options.evaluations,
        objective=options.objective,
        train_images=options.train_images,
    )
    splits = [
        split
        for split in SPLITS
        if split in datasets.available_splits(options.data.data, data_dir=options.data.data_dir)
    ]
    gathered: dict[str, Compensation | None] = {}
    results: dict[str, Any] = {}
    for cell in options.cells():
        reporter.message(f"{cell.name}: {cell.method}, seed {cell.seed}.")

        def work(cell: Cell = cell) -> dict[str, Any]:
            compensation = _compensation(gathered, cell.compensate, model, options.data)
            found = run_cell(
                cell,
                out / "runs" / cell.name,
                options.model,
                model,
                options.data,
                options.evaluations,
                compensation,
                options.objective,
                reporter,
                options.force,
            )
            return {
                **asdict(cell),
                "evaluations": found.evaluations,
                "curve": found.curve,
                "best": found.figures,
                "mask": np.packbits(found.mask).tobytes().hex(),
                "whole": {
                    split: _whole(steps, model, options, split, found.genome, found.mask, compensation)
                    for split in splits
                },
            }

        steps.once(f"{CELLS}/{cell.name}", work)
        results = {"settings": steps.description, "cells": sorted(steps.finished(CELLS), key=_place)}
        write_results(out, results, tables(results))
    for name, image in render_figures(drop_figures(results)).items():
        write_atomically(out / f"{name}.png", image)
    return results


def _place(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    return cell["threshold"], cell["compensate"], METHODS.index(cell["method"]), cell["seed"]


def _compensation(
    gathered: dict[str, Compensation | None], method: str, model: Model, data: DataOptions
) -> Compensation | None:
    """The compensation that a search gathers itself."""
    if method not in gathered:
        genome = Genome.of(model.network, "all")
        gathered[method] = gather(model, genome, method, COMPENSATION_IMAGES, data)
    return gathered[method]


def _whole(
    steps: Steps,
    model: Model,
    options: QualityOptions,
    split: str,
    genome: Genome,
    mask: np.ndarray,
    compensation: Compensation | None,
) -> dict[str, Any]:
    """Counts of a mask on the images of a split, and its accuracy drop there, percent."""
    part = options.train_images if split == "train" else None
    images = load_images(replace(options.data, split=split, images=part), model)

    def count(masked: np.ndarray, compensated: Compensation | None) -> int:
        batch = usual_batch()
        arrays = (model, genome.layout, images.images, images.labels, batch)
        with LocalEvaluator(*arrays, compensation=compensated) as evaluator:
            return int(evaluator.evaluate(masked[None])[0])

    once: Callable[[], int] = lambda: count(genome.layout.full(), None)  # noqa: E731
    original = steps.once(f"original-{split}", once)
    correct = count(mask, compensation)
    drop = float(percent_drop(original, np.array(correct)))
    return {"total": len(images), "original_correct": original, "correct": correct, "accuracy_drop": drop}
