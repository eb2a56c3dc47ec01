"""All figures of a run's report, with their captions."""

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
    "accuracy_drop": "Accuracy drop of BEST on the fitness images (the thesis's Figure 4.1)",
    "parameter_drop": "Parameters dropped by BEST (Figure 4.2)",
    "mac_drop": "MACs dropped by BEST (Figure 4.3)",
    "latency_drop": "Latency dropped by BEST, from the table of measured layers",
    "kept_filters": "Filters that BEST keeps in each layer",
    "trade_off": "Accuracy drop against parameters dropped of every mask that was scored",
    "mac_trade_off": "Accuracy drop against MACs dropped of every mask that was scored",
    "population_scores": "Scores in the population",
    "island_scores": "Highest score on each island",
}


def figures_of_run(source: ReportedRun, scored: TradeOff, result: Result | None = None) -> dict[str, Figure]:
    """The figures by name, a key of :data:`CAPTIONS`.

    ``result`` is the RESULT of the run, if it has one.

    Raises:
        RunError: the journal lacks figures of BEST.
    """
    options, state, layout, rows = source.options, source.state, source.problem.genome.layout, source.rows
    best = state.best
    noun = OBJECTIVES[options.objective].noun
    kept = map(int, layout.kept(best.individual.mask))
    places = {name: (best.figures[name], best.figures["accuracy_drop"]) for name in NOUNS}
    with source.reading_journal():
        figures = {
            "accuracy_drop": run_figures.accuracy_drop_figure(rows, options.threshold),
            "parameter_drop": run_figures.parameter_drop_figure(rows),
            "mac_drop": run_figures.mac_drop_figure(rows),
        }
        if options.objective == LATENCY:
            figures["latency_drop"] = run_figures.latency_drop_figure(rows)
        figures["kept_filters"] = run_figures.kept_filters_figure(
            list(zip(layout.names, kept, layout.sizes, strict=True))
        )
        for figure, name in (("trade_off", "parameter_drop"), ("mac_trade_off", "mac_drop")):
            own = None if result is None or result.is_best else (result.figures[name], result.accuracy_drop)
            figures[figure] = trade_off_figure(scored, places[name], options.threshold, name, own)
        if len(state.islands) > 1:
            figures["island_scores"] = island_scores_figure(rows, options.settings.migrate_every, noun)
        else:
            figures["population_scores"] = population_scores_figure(rows, noun)
    return figures
