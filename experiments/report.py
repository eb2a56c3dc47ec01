"""The report of a run: the paper's table and figures, drawn from the run directory."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.atomic import write_atomically
from engine.config import SearchSettings
from engine.errors import RunError
from engine.run_directory import RunDirectory
from engine.state import SearchState
from experiments import plots
from experiments.held_out import SPLIT, measure_held_out
from experiments.island_plots import island_scores_figure
from experiments.progress import Reporter, Silent
from experiments.report_page import Measured, comparison_data, comparison_table, write_report
from experiments.search_options import SearchOptions
from experiments.searched_model import load_searched_model
from models.cost import network_cost

FIGURES = {
    "accuracy_drop": "Accuracy drop of BEST on the fitness images (the paper's Figure 4.1)",
    "parameter_drop": "Parameters dropped by BEST (Figure 4.2)",
    "mac_drop": "MACs dropped by BEST (Figure 4.3)",
    "kept_filters": "Filters that BEST keeps in each layer",
    "island_scores": "Highest score on each island",
}


def make_report(
    directory: Path,
    *,
    model: str | None = None,
    data_dir: str | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Write ``report/`` in the run directory: ``report.md``, ``table.json`` and PNG figures.

    Args:
        directory: of the run.
        model: where the run's model is now, if it moved.
        data_dir: where the run's data is now, if it moved.
        reporter: receives sentences for the user.

    Returns:
        table (Markdown), measurements, and the paths written.

    Raises:
        RunError: no run there, or it has no generation behind it.
    """
    reporter = reporter or Silent()
    run = RunDirectory.open(Path(directory))
    options = SearchOptions.from_json(run.description().get("configuration"))
    checkpoint = run.latest(reporter.message)
    rows = run.journal()
    if checkpoint is None:
        raise RunError(f"{run.path} has nothing to report yet; run 'evoprune resume {run.path}' first.")
    if not rows:
        raise RunError(f"{run.journal_path} has no rows to draw; restore it.")
    state, layout = checkpoint.state, checkpoint.layout
    rows = [row for row in rows if row["generation"] <= state.generation]
    if data_dir is not None:
        options = replace(options, data=options.data.moved(data_dir))
    searched = load_searched_model(run, model or options.model)
    best = state.best
    held_out = measure_held_out(run.path, searched, options, best.individual.mask, reporter)

    base_parameters, base_macs = network_cost(searched.network)
    counts = held_out or {"original_correct": None, "correct": None, "total": None}
    base = Measured(counts["original_correct"], counts["total"], base_parameters, base_macs)
    parameters, macs = int(best.figures["parameters"]), int(best.figures["macs"])
    pruned = Measured(counts["correct"], counts["total"], parameters, macs)
    table = comparison_table(base, pruned, split=SPLIT)
    kept = layout.kept(best.individual.mask)
    folder = run.path / "report"
    folder.mkdir(exist_ok=True)
    figures = {
        "accuracy_drop": plots.accuracy_drop_figure(rows, options.threshold),
        "parameter_drop": plots.parameter_drop_figure(rows),
        "mac_drop": plots.mac_drop_figure(rows),
        "kept_filters": plots.kept_filters_figure(
            list(zip(layout.names, map(int, kept), layout.sizes, strict=True))
        ),
    }
    if len(state.islands) > 1:
        figures["island_scores"] = island_scores_figure(rows, options.settings.migrate_every)
    written = plots.save_figures(figures, folder)
    data = comparison_data(base, pruned, split=SPLIT)
    write_atomically(folder / "table.json", (json.dumps(data, indent=2) + "\n").encode())
    page = write_report(
        folder,
        title=f"{searched.network.architecture.name} on {options.data.data}: filters removed without retraining",
        table=table,
        details=_details(options, state),
        figures={FIGURES[name]: f"{name}.png" for name in figures},
    )
    return {"table": table, "measurements": data, "report": str(page), "figures": list(map(str, written))}


def _details(options: SearchOptions, state: SearchState) -> dict[str, str]:
    settings, best = options.settings, state.best.to_json()
    islands = {"islands": _islands(settings)} if settings.islands > 1 else {}
    images = "all" if options.data.images is None else f"{options.data.images:,}"
    return {
        "generations": f"{state.generation}",
        "masks evaluated": f"{state.evaluations:,}, {state.stopped:,} of them stopped early",
        "stopping early": _stopping(settings),
        "fitness images": f"{images} of the {options.data.split} split",
        "accuracy drop of BEST on them": f"{best['accuracy_drop']:.2f}% (threshold {options.threshold:g}%)",
        "score of BEST": f"{best['score']:.4f}",
        **islands,
        "initial population": f"{settings.population}, up to {100 * settings.initial_removal:g}% removed",
        "parents": f"{settings.parents}, pairing {settings.pairing}",
        "mutation probability per bit": f"{settings.mutation:g}",
        "population cap": f"{settings.population_cap}",
        "lambda, epsilon": f"{options.weight:g}, {options.offset:g}",
        "seed": f"{settings.seed}",
        "mask (SHA-256 of its bits)": best["sha256"],
    }


def _islands(settings: SearchSettings) -> str:
    masks = "the best mask" if settings.migrants == 1 else f"the best {settings.migrants} masks"
    often = "every generation" if settings.migrate_every == 1 else f"every {settings.migrate_every} generations"
    shared = "initial population, parents and cap are of each"
    return f"{settings.islands}, sending {masks} to the next {often}; {shared}"


def _stopping(settings: SearchSettings) -> str:
    if not settings.stop_early:
        return "off"
    return f"race, error probability {settings.race:g}" if settings.race > 0 else "exact"
