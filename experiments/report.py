"""The report of a run: the paper's table, figures and an HTML page, made from the run directory."""

import json
import os
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from engine.errors import DataError, RunError
from engine.layout import Layout
from engine.run_directory import JOURNAL, RunDirectory
from engine.state import SearchState
from experiments import compensating, plots
from experiments.fitness_images import load_fitness_images
from experiments.front_points import front_json, front_table
from experiments.held_out import measure_held_out
from experiments.held_out_images import SPLIT, held_out_images, none_apart
from experiments.island_plots import island_scores_figure
from experiments.latency_table import LATENCY
from experiments.pages.class_results import ClassResults, class_results
from experiments.pages.findings import findings
from experiments.pages.layers import layer_widths, stage_savings
from experiments.pages.repeating import search_command
from experiments.pages.run_page import run_page
from experiments.pages.run_settings import run_settings
from experiments.pages.speed import measure_speed
from experiments.pages.trade_off import TradeOff
from experiments.pages.trade_off_plots import NOUNS, trade_off_figure
from experiments.picking import front_among_all
from experiments.population_plots import population_scores_figure
from experiments.progress import Reporter, Silent
from experiments.report_page import Measured, comparison_data, comparison_table, report_page
from experiments.search_options import SearchOptions
from experiments.searched_model import load_searched_model
from experiments.status import summary
from fitness.genome import Genome
from fitness.rewards import OBJECTIVES
from models.compensation.compensation import Compensation
from models.cost import network_cost
from models.dependency.architecture import ModuleArchitecture
from models.pruning import prune
from models.store import Model

FOLDER = "report"
PAGE = f"{FOLDER}/report.md"
HTML_PAGE = f"{FOLDER}/report.html"
FIGURES = {
    "accuracy_drop": "Accuracy drop of BEST on the fitness images (the paper's Figure 4.1)",
    "parameter_drop": "Parameters dropped by BEST (Figure 4.2)",
    "mac_drop": "MACs dropped by BEST (Figure 4.3)",
    "latency_drop": "Latency dropped by BEST, from the table of measured layers",
    "kept_filters": "Filters that BEST keeps in each layer",
    "trade_off": "Accuracy drop against parameters dropped of every mask that was scored",
    "mac_trade_off": "Accuracy drop against MACs dropped of every mask that was scored",
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
        RunError: no run there, it has no generation behind it, or it searched on other images than are there now.
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
    # Where there are none, what is to be measured says so.
    with suppress(DataError):
        load_fitness_images(run, options.data, searched)
    genome = Genome.of(searched.network, options.prune)
    compensation = compensating.read(run, options.compensate, genome)
    held_out = measure_held_out(run, searched, options, mask, reporter, compensation)

    base_parameters, base_macs = network_cost(searched.network)
    counts = held_out or {"original_correct": None, "correct": None, "total": None}
    base = Measured(counts["original_correct"], counts["total"], base_parameters, base_macs)
    pruned = Measured(counts["correct"], counts["total"], int(best["parameters"]), int(best["macs"]))
    table = comparison_table(base, pruned, split=SPLIT)
    measurements = comparison_data(base, pruned, split=SPLIT)
    scored = TradeOff.of(state, genome)
    front = front_among_all(state, genome) if state.front is None else state.front
    shown = front_json(front, front.masks(state.archive))
    try:
        figures = _figures(rows, state, layout, options, scored)
        found = findings(state, options, rows, measurements["accuracy_percent"]["drop_percent"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{run.store.full_name(JOURNAL)} is damaged: a row lacks figures of BEST ({error}); restore it."
        ) from error
    classes, left_out = _by_class(searched, options, mask, compensation, measured=held_out is not None)
    architecture = searched.network.architecture
    model_class = architecture.name if isinstance(architecture, ModuleArchitecture) else None
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
        "front": shown,
        "classes": None if classes is None else classes.to_json(),
        "speed": measure_speed(searched.network, smaller, searched.normalisation),
        "settings": run_settings(options, state),
        "command": search_command(options, model_class),
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
            front=front_table(shown),
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
    places = {name: (best.figures[name], best.figures["accuracy_drop"]) for name in NOUNS}
    noun = OBJECTIVES[options.objective].noun
    figures = {
        "accuracy_drop": plots.accuracy_drop_figure(rows, options.threshold),
        "parameter_drop": plots.parameter_drop_figure(rows),
        "mac_drop": plots.mac_drop_figure(rows),
        **({"latency_drop": plots.latency_drop_figure(rows)} if options.objective == LATENCY else {}),
        "kept_filters": plots.kept_filters_figure(list(zip(layout.names, kept, layout.sizes, strict=True))),
        "trade_off": trade_off_figure(scored, places["parameter_drop"], options.threshold),
        "mac_trade_off": trade_off_figure(scored, places["mac_drop"], options.threshold, "mac_drop"),
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
