"""The report of a run: the paper's table and figures, drawn from the run directory."""

import json
import os
from dataclasses import replace
from typing import Any

from engine.config import SearchSettings
from engine.errors import RunError
from engine.run_directory import JOURNAL, RunDirectory
from engine.state import SearchState
from experiments import plots
from experiments.held_out import SPLIT, measure_held_out
from experiments.island_plots import island_scores_figure
from experiments.progress import Reporter, Silent
from experiments.report_page import Measured, comparison_data, comparison_table, report_page
from experiments.search_options import SearchOptions
from experiments.searched_model import load_searched_model
from experiments.status import ancestry_text
from fitness.seeding import LARGEST_REMOVAL
from models.cost import network_cost

FOLDER = "report"
PAGE = f"{FOLDER}/report.md"
ANCESTRY = "the filters that BEST removes come from"
FIGURES = {
    "accuracy_drop": "Accuracy drop of BEST on the fitness images (the paper's Figure 4.1)",
    "parameter_drop": "Parameters dropped by BEST (Figure 4.2)",
    "mac_drop": "MACs dropped by BEST (Figure 4.3)",
    "kept_filters": "Filters that BEST keeps in each layer",
    "island_scores": "Highest score on each island",
}


def make_report(
    directory: str | os.PathLike[str],
    *,
    model: str | None = None,
    data_dir: str | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Write ``report/`` in the run directory: ``report.md``, ``table.json`` and PNG figures.

    Args:
        directory: of the run, a path or a URL.
        model: where the run's model is now, if it moved.
        data_dir: where the run's data is now, if it moved.
        reporter: receives sentences for the user.

    Returns:
        table (Markdown), measurements, and the paths written.

    Raises:
        RunError: no run there, or it has no generation behind it.
    """
    reporter = reporter or Silent()
    run = RunDirectory.open(directory)
    options = SearchOptions.from_json(run.description().get("configuration"))
    checkpoint = run.latest(reporter.message)
    rows = run.journal()
    if checkpoint is None:
        raise RunError(f"{run.location} has nothing to report yet; run 'evoprune resume {run.location}' first.")
    if not rows:
        raise RunError(f"{run.store.full_name(JOURNAL)} has no rows to draw; restore it.")
    state, layout = checkpoint.state, checkpoint.layout
    rows = [row for row in rows if row["generation"] <= state.generation]
    if data_dir is not None:
        options = replace(options, data=options.data.moved(data_dir))
    searched = load_searched_model(run, checkpoint, model or options.model, options.prune)
    best = state.best
    held_out = measure_held_out(run, searched, options, best.individual.mask, reporter)

    base_parameters, base_macs = network_cost(searched.network)
    counts = held_out or {"original_correct": None, "correct": None, "total": None}
    base = Measured(counts["original_correct"], counts["total"], base_parameters, base_macs)
    parameters, macs = int(best.figures["parameters"]), int(best.figures["macs"])
    pruned = Measured(counts["correct"], counts["total"], parameters, macs)
    table = comparison_table(base, pruned, split=SPLIT)
    kept = layout.kept(best.individual.mask)
    try:
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
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{run.store.full_name(JOURNAL)} is damaged: a row lacks figures of BEST ({error}); restore it."
        ) from error
    data = comparison_data(base, pruned, split=SPLIT)
    page = report_page(
        title=f"{searched.network.architecture.name} on {options.data.data}: filters removed without retraining",
        table=table,
        details=_details(options, state),
        figures={FIGURES[name]: f"{name}.png" for name in figures},
    )
    images = {f"{FOLDER}/{name}.png": image for name, image in plots.render_figures(figures).items()}
    texts = {f"{FOLDER}/table.json": json.dumps(data, indent=2) + "\n", PAGE: page}
    # The page last: it then finds what it shows.
    for name, content in {**images, **{name: text.encode() for name, text in texts.items()}}.items():
        run.store.write(name, content)
    written = [run.store.full_name(name) for name in images]
    return {"table": table, "measurements": data, "report": run.store.full_name(PAGE), "figures": written}


def _details(options: SearchOptions, state: SearchState) -> dict[str, str]:
    settings, best = options.settings, state.best.to_json()
    islands = {"islands": _islands(settings)} if settings.islands > 1 else {}
    ancestry = {ANCESTRY: ancestry_text(best["ancestry"])} if "ancestry" in best else {}
    images = "all" if options.data.images is None else f"{options.data.images:,}"
    return {
        "generations": f"{state.generation}",
        "masks evaluated": f"{state.evaluations:,}, {state.stopped:,} of them stopped early",
        "stopping early": _stopping(settings),
        "fitness images": f"{images} of the {options.data.split} split",
        "accuracy drop of BEST on them": f"{best['accuracy_drop']:.2f}% (threshold {options.threshold:g}%)",
        "score of BEST": f"{best['score']:.4f}",
        **islands,
        "initial population": _initial_population(options),
        **ancestry,
        "parents": f"{settings.parents}, pairing {settings.pairing}",
        "mutation probability per bit": f"{settings.mutation:g}",
        "population cap": f"{settings.population_cap}",
        "lambda, epsilon": f"{options.weight:g}, {options.offset:g}",
        "seed": f"{settings.seed}",
        "mask (SHA-256 of its bits)": best["sha256"],
    }


def _initial_population(options: SearchOptions) -> str:
    settings = options.settings
    near = f"up to {100 * settings.initial_removal:g}% removed"
    if not options.seeds:
        return f"{settings.population}, {near}"
    seeds = settings.population // 2
    return (
        f"{settings.population - seeds}, {near}, and {seeds} by {', '.join(options.seeds)}, globally and by "
        f"layer, up to {100 * LARGEST_REMOVAL:g}% removed"
    )


def _islands(settings: SearchSettings) -> str:
    masks = "the best mask" if settings.migrants == 1 else f"the best {settings.migrants} masks"
    often = "every generation" if settings.migrate_every == 1 else f"every {settings.migrate_every} generations"
    shared = "initial population, parents and cap are of each"
    return f"{settings.islands}, sending {masks} to the next {often}; {shared}"


def _stopping(settings: SearchSettings) -> str:
    if not settings.stop_early:
        return "off"
    return f"race, error probability {settings.race:g}" if settings.race > 0 else "exact"
