"""The HTML page that compares runs, made from the JSON of the comparison and the figures."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from experiments.report.figures.style import percent
from experiments.report.html.rendering import Drawn, count, render

_CAPTIONS = {
    "parameter_drop": "",
    "parameter_drop_over_budget": "The fair axis: an evaluation on more images is more work. "
    "Masks that were stopped early count in full.",
    "trade_offs": "Lower right is better. Large marks: BEST. Lines: fronts, which no mask of the run surpasses. "
    "Faint marks: every mask with a full count.",
}


def run_comparison_page(comparison: Mapping[str, Any], figures: Mapping[str, Figure]) -> str:
    """The text of ``comparison.html``; the figures lose their headlines."""
    runs = comparison["runs"]
    told = "; ".join(
        f"run {run['label']}: {percent(run['best']['parameter_drop'])} of the parameters at an accuracy drop of "
        f"{percent(run['best']['accuracy_drop'])}"
        for run in runs
    )
    drawn = {
        name: Drawn.of(figure, alt=f"BEST at the end, {told}.", caption=_CAPTIONS[name])
        for name, figure in figures.items()
    }
    rows = [(name, [_shown(form, of(run)) for run in runs]) for name, form, of in _ROWS]
    differences = {
        name: ["not set" if value is None else str(value) for value in values]
        for name, values in comparison["differences"].items()
    }
    return render("comparison.html", comparison=comparison, rows=rows, differences=differences, drawn=drawn)


def _shown(form: Callable[[Any], str], value: Any) -> str:
    return "not known" if value is None else form(value)


def _seconds(value: float) -> str:
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{value:.1f} s"


def _best(name: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda run: run["best"][name]


def _result(name: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda run: None if run["result"] is None else run["result"][name]


def _own(name: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda run: run[name]


_ROWS: tuple[tuple[str, Callable[[Any], str], Callable[[Mapping[str, Any]], Any]], ...] = (
    ("parameters dropped", percent, _best("parameter_drop")),
    ("MACs dropped", percent, _best("mac_drop")),
    ("accuracy drop, fitness images", percent, _best("accuracy_drop")),
    ("accuracy drop, held-out images", percent, _own("held_out_accuracy_drop")),
    ("RESULT, parameters dropped", percent, _result("parameter_drop")),
    ("RESULT, MACs dropped", percent, _result("mac_drop")),
    ("RESULT, accuracy drop, held-out images", percent, _own("result_held_out_accuracy_drop")),
    ("parameters left", count, _best("parameters")),
    ("MACs left", count, _best("macs")),
    ("filters removed", count, _best("removed_filters")),
    ("of filters", count, _best("filters")),
    ("BEST found in generation", count, _own("best_since")),
    ("generations", count, _own("generation")),
    ("masks evaluated", count, _own("evaluations")),
    ("of them stopped early", count, _own("stopped")),
    ("fitness images", count, _own("images")),
    ("budget, evaluations x images", count, _own("budget")),
    ("time", _seconds, _own("seconds")),
)
