"""Runs a search for a front and a search for each threshold with each seed, and gathers the results."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import OptionError
from engine.stores.atomic import write_atomically
from experiments.baselines.budgeted_run import run_until
from experiments.data.options import DataOptions
from experiments.progress import Reporter, Silent
from experiments.report.figures.run_figures import render_figures
from experiments.runs.exporting.pick import front_among_all
from experiments.runs.options import SearchOptions, check_compensation
from experiments.studies.fronts.page import front_figure, tables
from experiments.studies.study_folder import study_steps, write_results
from fitness.genome import Genome
from fitness.objective.front import ACCURACY, FIGURES
from models import model_directory
from models.model_directory import Model

FRONT = "front"
"""The cell of the search for a front; the others are named after their thresholds."""


@dataclass(frozen=True)
class FrontOptions:
    """Options of the comparison.

    Attributes:
        model: directory.
        data: fitness images, the same for all searches.
        evaluations: masks that the search for one threshold may evaluate; the search for the front has this
            number for each threshold. Masks that were stopped early count in full.
        seeds: number of seeds, from 0 on.
        thresholds: accuracy drops, percent; the largest is the front's limit.
        objective: what is traded for accuracy, ``parameters`` or ``macs``.
        compensate: as the option of that name.
        force: as the option of that name.

    Raises:
        OptionError: a value out of its range.
    """

    model: str
    data: DataOptions
    evaluations: int = 250
    seeds: int = 3
    thresholds: tuple[float, ...] = (0.5, 1.0, 2.0, 5.0)
    objective: str = "parameters"
    compensate: str = "linear"
    force: bool = False

    def __post_init__(self) -> None:
        for name in ("evaluations", "seeds"):
            if getattr(self, name) < 1:
                raise OptionError(f"`{name}` must be 1 or more, not {getattr(self, name)}.")
        if not self.thresholds or not all(0 < threshold <= 100 for threshold in self.thresholds):
            raise OptionError("`thresholds` must be accuracy drops above 0, up to 100 percent, as 0.5,1,2,5.")
        check_compensation(self.compensate, 1)

    @property
    def limit(self) -> float:
        """Accuracy drop up to which fronts are compared, percent."""
        return max(self.thresholds)

    def searches(self, seed: int) -> dict[str, tuple[SearchOptions, int]]:
        """Name of a cell -> its search and its budget."""
        common: dict[str, Any] = {name: getattr(self, name) for name in ("compensate", "objective", "force")} | {
            "seed": seed,
            # Fronts are compared as they were searched.
            "finish": False,
        }
        single = {
            f"{threshold:g}": (
                SearchOptions.preset(
                    "quality", self.model, self.data, threshold=threshold, generations=self.evaluations, **common
                ),
                self.evaluations,
            )
            for threshold in self.thresholds
        }
        budget = self.evaluations * len(self.thresholds)
        front = SearchOptions.preset(
            "front",
            self.model,
            self.data,
            threshold=self.limit,
            front_limit=self.limit,
            objectives=f"{ACCURACY},{self.objective}",
            generations=budget,
            **common,
        )
        return {FRONT: (front, budget), **single}


def run_fronts(out: Path, options: FrontOptions, reporter: Reporter | None = None) -> dict[str, Any]:
    """Fill ``out``: ``results.json``, ``tables.md``, a figure of the first seed's fronts, and the runs.

    The same call continues an interrupted comparison; the files show the finished seeds.

    Raises:
        RunError: ``out`` holds something else.
        OptionError, EvopruneError, NetworkError: model, data or options cannot be used.
    """
    reporter = reporter or Silent()
    model = model_directory.load(Path(options.model))
    options = replace(options, model=str(Path(options.model).resolve()), data=options.data.resolved())
    out = Path(out)
    # Seeds are left out, so that more of them can be added.
    own = ("model", "data", "seeds", "force")
    shared = {name: value for name, value in vars(options).items() if name not in own}
    steps = study_steps(out, model, options.data, **shared)
    results: dict[str, Any] = {"settings": steps.description, "seeds": []}
    for seed in range(options.seeds):
        cells = {}
        for name, (search, budget) in options.searches(seed).items():
            folder = f"{name}-{seed}"
            reporter.message(f"{folder}: {budget:,} masks.")

            def work(
                search: SearchOptions = search, budget: int = budget, folder: str = folder
            ) -> dict[str, Any]:
                return _found(out / "runs" / folder, model, search, budget, options, reporter)

            cells[name] = steps.once(folder, work)
        results["seeds"].append(cells)
        write_results(out, results, tables(results))
    for name, image in render_figures({"fronts": front_figure(results)}).items():
        write_atomically(out / f"{name}.png", image)
    return results


def _found(
    folder: Path, model: Model, search: SearchOptions, budget: int, options: FrontOptions, reporter: Reporter
) -> dict[str, Any]:
    """BEST and the front of all masks of a search: pairs of accuracy drop and the other drop, percent."""
    _, checkpoint = run_until(folder, search, budget, reporter)
    genome = Genome.of(model.network, search.prune)
    front = front_among_all(checkpoint.state, genome, (ACCURACY, options.objective), options.limit)
    best = checkpoint.state.best.figures
    names = FIGURES[ACCURACY], FIGURES[options.objective]
    points = zip(*(front.figures[name].tolist() for name in names), strict=True)
    return {
        "evaluations": checkpoint.state.evaluations,
        "best": [float(best[name]) for name in names],
        "front": [list(point) for point in points],
    }
