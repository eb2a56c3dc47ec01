"""All figures of a run's report, with their captions."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from experiments.report.figures import run_figures
from experiments.report.figures.islands import island_scores_figure
from experiments.report.figures.population import population_scores_figure
from experiments.report.figures.trade_off import NOUNS, trade_off_figure
from experiments.report.reported_run import ReportedRun
from experiments.report.results.trade_off import TradeOff
from experiments.runs.finish.result import Result
from experiments.runs.knowledge.latency import LATENCY
from fitness.objective.rewards import OBJECTIVES

CAPTIONS = {
    "accuracy_drop": "Accuracy drop of BEST on the fitness images (the thesis's Figure 4.1), and of RESULT",
    "parameter_drop": "Parameters dropped by BEST (Figure 4.2) and by RESULT",
    "mac_drop": "MACs dropped by BEST (Figure 4.3) and by RESULT",
    "latency_drop": "Latency dropped by BEST and by RESULT, from the table of measured layers",
    "kept_filters": "Filters that RESULT keeps in each layer, or BEST where there is no RESULT",
    "trade_off": "Accuracy drop against parameters dropped of every mask that was scored",
    "mac_trade_off": "Accuracy drop against MACs dropped of every mask that was scored",
    "population_scores": "Scores in the population",
    "island_scores": "Highest score on each island",
}


def figures_of_run(
    source: ReportedRun, scored: TradeOff, layers: Sequence[Mapping[str, Any]], result: Result | None = None
) -> dict[str, Figure]:
    """The figures by name, a key of :data:`CAPTIONS`.

    Args:
        source: the run.
        scored: all masks of the run.
        layers: as :func:`experiments.report.results.layers.layer_widths`, of RESULT, or of BEST without a RESULT.
        result: the RESULT of the run, if it has one.

    Raises:
        RunError: the journal lacks figures of BEST.
    """
    options, state, rows = source.options, source.state, source.rows
    best = state.best
    noun = OBJECTIVES[options.objective].noun
    places = {name: (best.figures[name], best.figures["accuracy_drop"]) for name in NOUNS}
    own: dict[str, float] = {}
    if result is not None and not result.is_best:
        own = {**result.figures, "accuracy_drop": result.accuracy_drop}
    with source.reading_journal():
        figures = {
            "accuracy_drop": run_figures.accuracy_drop_figure(rows, options.threshold, own.get("accuracy_drop")),
            "parameter_drop": run_figures.parameter_drop_figure(rows, own.get("parameter_drop")),
            "mac_drop": run_figures.mac_drop_figure(rows, own.get("mac_drop")),
        }
        if options.objective == LATENCY:
            figures["latency_drop"] = run_figures.latency_drop_figure(rows, own.get("latency_drop"))
        figures["kept_filters"] = run_figures.kept_filters_figure(
            [(each["name"], each["kept"], each["filters"]) for each in layers if each["searched"]]
        )
        for figure, name in (("trade_off", "parameter_drop"), ("mac_trade_off", "mac_drop")):
            place = (own[name], own["accuracy_drop"]) if own else None
            figures[figure] = trade_off_figure(scored, places[name], options.threshold, name, place)
        if len(state.islands) > 1:
            figures["island_scores"] = island_scores_figure(rows, options.settings.migrate_every, noun)
        else:
            figures["population_scores"] = population_scores_figure(rows, noun)
    return figures
