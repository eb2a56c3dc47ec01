"""The report of a run: the paper's table, figures and an HTML page, made from the run directory."""

import json
import os
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from engine.config import SearchSettings
from engine.errors import DataError, RunError
from engine.layout import Layout
from engine.run_directory import JOURNAL, RunDirectory
from engine.state import SearchState
from experiments import compensating, plots
from experiments.held_out import measure_held_out
from experiments.held_out_images import SPLIT, held_out_images, none_apart
from experiments.island_plots import island_scores_figure
from experiments.latency_table import LATENCY
from experiments.pages.class_results import ClassResults, class_results
from experiments.pages.findings import findings
from experiments.pages.layers import layer_widths, stage_savings
from experiments.pages.repeating import search_command
from experiments.pages.run_page import run_page
from experiments.pages.speed import measure_speed
from experiments.pages.trade_off import TradeOff
from experiments.pages.trade_off_plots import trade_off_figure
from experiments.population_plots import population_scores_figure
from experiments.progress import Reporter, Silent
from experiments.report_page import Measured, comparison_data, comparison_table, report_page
from experiments.search_options import SearchOptions
from experiments.searched_model import load_searched_model
from experiments.status import ancestry_text, summary
from fitness.genome import Genome
from fitness.rewards import OBJECTIVES
from fitness.seeding import LARGEST_REMOVAL
from models.compensation.compensation import Compensation
from models.cost import network_cost
from models.pruning import prune
from models.store import Model

FOLDER = "report"
PAGE = f"{FOLDER}/report.md"
ANCESTRY = "the filters that BEST removes come from"
HTML_PAGE = f"{FOLDER}/report.html"
FIGURES = {
    "accuracy_drop": "Accuracy drop of BEST on the fitness images (the paper's Figure 4.1)",
    "parameter_drop": "Parameters dropped by BEST (Figure 4.2)",
    "mac_drop": "MACs dropped by BEST (Figure 4.3)",
    "latency_drop": "Latency dropped by BEST, from the table of measured layers",
    "kept_filters": "Filters that BEST keeps in each layer",
    "trade_off": "Accuracy drop against parameters dropped of every mask that was scored",
    "population_scores": "Scores in the population",
    "island_scores": "Highest score on each island",
}


def make_report(
    directory: str | os.PathLike[str],
    *,
    model: str | None = None,
    data_dir: str | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Write ``report/`` in the run directory: ``report.html``, ``report.md``, ``table.json`` and PNG figures.

    What cannot be measured here, for want of data, is left out and named in ``left_out``.

    Args:
        directory: of the run, a path or a URL.
        model: where the run's model is now, if it moved.
        data_dir: where the run's data is now, if it moved.
        reporter: receives sentences for the user.

    Returns:
        All numbers of the page, table (Markdown) and the paths written.

    Raises:
        RunError: no run there, or it has no generation behind it.
    """
    reporter = reporter or Silent()
    run = RunDirectory.open(directory)
    description = run.description()
    options = SearchOptions.from_json(description.get("configuration"))
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
    best = summary(state, options.generations, options.objective)["best"]
    mask = state.best.individual.mask
    compensation = compensating.read(run, options.compensate)
    held_out = measure_held_out(run, searched, options, mask, reporter, compensation)

    base_parameters, base_macs = network_cost(searched.network)
    counts = held_out or {"original_correct": None, "correct": None, "total": None}
    base = Measured(counts["original_correct"], counts["total"], base_parameters, base_macs)
    pruned = Measured(counts["correct"], counts["total"], int(best["parameters"]), int(best["macs"]))
    table = comparison_table(base, pruned, split=SPLIT)
    measurements = comparison_data(base, pruned, split=SPLIT)
    scored = TradeOff.of(state, Genome.of(searched.network, options.prune))
    try:
        figures = _figures(rows, state, layout, options, scored)
        found = findings(state, options, rows, measurements["accuracy_percent"]["drop_percent"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{run.store.full_name(JOURNAL)} is damaged: a row lacks figures of BEST ({error}); restore it."
        ) from error
    classes, left_out = _by_class(searched, options, mask, compensation, measured=held_out is not None)
    architecture = searched.network.architecture
    keeps = layout.split(mask)
    smaller = prune(compensating.network_of(searched.network, keeps, compensation), keeps)
    images = {f"{FOLDER}/{name}.png": image for name, image in plots.render_figures(figures).items()}
    report = {
        "title": f"{architecture.name} on {options.data.data}: filters removed without retraining",
        "run": run.location,
        "generation": state.generation,
        "generations": options.generations,
        "threshold": options.threshold,
        "best": best,
        "findings": found,
        "table": table,
        "measurements": measurements,
        "layers": layer_widths(searched.network, layout, mask),
        "stages": stage_savings(searched.network, smaller),
        "trade_off": scored.to_json(options.threshold),
        "classes": None if classes is None else classes.to_json(),
        "speed": measure_speed(searched.network, smaller, searched.normalisation),
        "settings": _details(options, state),
        "command": search_command(options),
        "environment": _flat({name: description.get(name) for name in ("versions", "hardware")}),
        "left_out": left_out,
        "report": run.store.full_name(PAGE),
        "page": run.store.full_name(HTML_PAGE),
        "figures": [run.store.full_name(name) for name in images],
    }
    texts = {
        f"{FOLDER}/table.json": json.dumps(measurements, indent=2) + "\n",
        PAGE: report_page(
            title=report["title"],
            table=table,
            details=report["settings"],
            figures={FIGURES[name]: f"{name}.png" for name in figures},
        ),
        HTML_PAGE: run_page(report, figures, rows, architecture.input_shape, len(searched.classes)),
    }
    # The pages last: they then find what they show.
    for name, content in {**images, **{name: text.encode() for name, text in texts.items()}}.items():
        run.store.write(name, content)
    return report


def _figures(
    rows: list[dict[str, Any]], state: SearchState, layout: Layout, options: SearchOptions, scored: TradeOff
) -> dict[str, Figure]:
    best = state.best
    kept = map(int, layout.kept(best.individual.mask))
    place = (best.figures["parameter_drop"], best.figures["accuracy_drop"])
    noun = OBJECTIVES[options.objective].noun
    figures = {
        "accuracy_drop": plots.accuracy_drop_figure(rows, options.threshold),
        "parameter_drop": plots.parameter_drop_figure(rows),
        "mac_drop": plots.mac_drop_figure(rows),
        **({"latency_drop": plots.latency_drop_figure(rows)} if options.objective == LATENCY else {}),
        "kept_filters": plots.kept_filters_figure(list(zip(layout.names, kept, layout.sizes, strict=True))),
        "trade_off": trade_off_figure(scored, place, options.threshold),
    }
    if len(state.islands) > 1:
        figures["island_scores"] = island_scores_figure(rows, options.settings.migrate_every, noun)
    else:
        figures["population_scores"] = population_scores_figure(rows, noun)
    return figures


def _by_class(
    model: Model, options: SearchOptions, mask: np.ndarray, compensation: Compensation | None, *, measured: bool
) -> tuple[ClassResults | None, list[str]]:
    """Results by class, or a sentence on why there are none."""
    try:
        images = held_out_images(options.data, model)
    except DataError as error:
        return None, [f"Accuracy by class is left out: {error}"]
    if images is None:
        return None, [f"Accuracy by class is left out: {none_apart(options.data)}"]
    if not measured:
        return None, ["Accuracy by class is left out: the network answers NaN or infinity on held-out images."]
    return class_results(model, images, mask, options.prune, compensation), []


def _flat(entry: dict[str, Any]) -> dict[str, str]:
    """What run.json says of versions and hardware, as lines."""
    lines = {}
    for values in entry.values():
        for name, value in (values if isinstance(values, dict) else {}).items():
            lines[str(name)] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return lines


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
        "objective": _objective(options),
        "score of BEST": f"{best['score']:.4f}",
        "compensation of removed filters": options.compensate,
        **islands,
        **({"widths": f"multiples of {settings.round_to}, or whole layers"} if settings.round_to > 1 else {}),
        "initial population": _initial_population(options),
        **ancestry,
        "parents": f"{settings.parents}, pairing {settings.pairing}",
        "mutation probability per bit": f"{settings.mutation:g}",
        "population cap": f"{settings.population_cap}",
        "lambda, epsilon": f"{options.weight:g}, {options.offset:g}",
        "seed": f"{settings.seed}",
        "mask (SHA-256 of its bits)": best["sha256"],
    }


def _objective(options: SearchOptions) -> str:
    noun = OBJECTIVES[options.objective].noun
    batch = f", batches of {options.latency_batch}" if options.objective == LATENCY else ""
    return f"to drop {noun}{batch}"


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
