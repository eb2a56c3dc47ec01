"""All cells one after the other, each once, and BEST's accuracy on all images of both splits."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.atomic import write_atomically
from engine.errors import OptionError
from experiments import compensating, datasets
from experiments.compared_searches import comparison_steps, write_results
from experiments.importances import named_methods
from experiments.measuring import DataOptions, load_images
from experiments.plots import render_figures
from experiments.progress import Reporter, Silent
from experiments.quality.cells import Cell, run_cell
from experiments.quality.methods import METHODS, RANKINGS
from experiments.quality.page import drop_figures, tables
from experiments.steps import Steps
from fitness.evaluator import CPU_BATCH, GPU_BATCH, LocalEvaluator, on_gpu
from fitness.genome import Genome
from fitness.objective import percent_drop
from models import store
from models.compensation.coefficients import METHODS as COMPENSATIONS
from models.compensation.compensation import Compensation
from models.store import Model

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

    def __post_init__(self) -> None:
        for option, number in (
            ("--evaluations", self.evaluations),
            ("--seeds", self.seeds),
            ("--train-images", self.train_images),
        ):
            if number is not None and number < 1:
                raise OptionError(f"{option} must be 1 or more, not {number}.")
        self.cells()

    def cells(self) -> list[Cell]:
        """Of all seeds of one method the first comes first, so that a protocol cut short has something of all."""
        compensations = named_methods(self.compensations, "--compensations", (compensating.NONE, *COMPENSATIONS))
        methods = named_methods(self.methods, "--methods", METHODS)
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

    Called again with the same options it goes on where it was stopped. Other methods, compensations, thresholds
    and more seeds are added to what is there: files and figures tell of all cells that are finished.

    Raises:
        RunError: ``out`` holds something else.
        OptionError, EvopruneError, NetworkError: model, data or options cannot be used.
    """
    reporter = reporter or Silent()
    model = store.load(Path(options.model))
    options = replace(options, model=str(Path(options.model).resolve()), data=options.data.resolved())
    out = Path(out)
    steps = comparison_steps(
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
    """As a search gathers it itself."""
    if method not in gathered:
        genome = Genome.of(model.network, "all")
        gathered[method] = compensating.gather(model, genome, method, COMPENSATION_IMAGES, data)
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
        batch = GPU_BATCH if on_gpu() else CPU_BATCH
        arrays = (model, genome.layout, images.images, images.labels, batch)
        with LocalEvaluator(*arrays, compensation=compensated) as evaluator:
            return int(evaluator.evaluate(masked[None])[0])

    once: Callable[[], int] = lambda: count(genome.layout.full(), None)  # noqa: E731
    original = steps.once(f"original-{split}", once)
    correct = count(mask, compensation)
    drop = float(percent_drop(original, np.array(correct)))
    return {"total": len(images), "original_correct": original, "correct": correct, "accuracy_drop": drop}
