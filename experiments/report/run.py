"""The report of a run: the thesis's table, figures and an HTML page, made from the run directory."""

import json
import os
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from experiments.progress import Reporter, Silent
from experiments.report.figures import run_figures
from experiments.report.figures.of_run import CAPTIONS, figures_of_run
from experiments.report.figures.style import reworded
from experiments.report.html.repeating import search_command
from experiments.report.html.run_page import run_page
from experiments.report.html.run_settings import run_settings
from experiments.report.markdown_page import report_page
from experiments.report.reported_run import ReportedRun
from experiments.report.results.run_results import Results
from experiments.report.results.table import result_table
from experiments.runs.watching.front_points import front_table
from experiments.spelling import measured_as
from models.tracing.architecture import ModuleArchitecture

FOLDER = "report"
PAGE = f"{FOLDER}/report.md"
HTML_PAGE = f"{FOLDER}/report.html"


def make_report(
    directory: str | os.PathLike[str],
    *,
    model: str | None = None,
    data_dir: str | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Write ``report/`` in the run directory: ``report.html``, ``report.md``, ``table.json`` and PNG figures.

    Results that cannot be measured here, for want of data, are left out and named in ``left_out``.

    Args:
        directory: of the run, a path or a URL.
        model: where the run's model is now, if it moved.
        data_dir: where the run's data is now, if it moved.
        reporter: receives sentences for the user.

    Returns:
        All numbers of the page, the table (Markdown) and the paths written.

    Raises:
        RunError: no run there, it has no generation behind it, or it searched on other images than are there now.
    """
    reporter = reporter or Silent()
    source = ReportedRun.open(directory, model, data_dir, reporter)
    results = Results.measure(source, reporter)
    figures = figures_of_run(source, results.trade_off, results.layers, results.result)
    for figure in figures.values():
        reworded(figure, results.facts.measure)
    report = _worded(_report(source, results, figures))
    _write(source, report, figures)
    return report


def _report(source: ReportedRun, results: Results, figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Everything that the pages say, as JSON."""
    options, state, store = source.options, source.state, source.run.store
    architecture = source.problem.model.network.architecture
    # A path would fill the screen of a telephone; the command has the whole name.
    data = options.data.data.rpartition("/")[2]
    measured = results.to_json(options.threshold)
    own_class = architecture.name if isinstance(architecture, ModuleArchitecture) else None
    return {
        "title": f"{architecture.name} on {data}: filters removed without retraining",
        "run": source.run.location,
        "generation": state.generation,
        "generations": options.generations,
        "threshold": options.threshold,
        "table": result_table(results.base, results.pruned, split=results.split),
        **measured,
        "settings": {**run_settings(options, state), "labels": f"matched {results.facts.matching}"},
        "command": search_command(options, own_class),
        "environment": _environment(source.saved.description),
        "report": store.full_name(PAGE),
        "page": store.full_name(HTML_PAGE),
        "figures": [store.full_name(_image(name)) for name in figures],
    }


def _worded(report: dict[str, Any]) -> dict[str, Any]:
    """The same, with sentences that speak of what was measured."""
    measure = report["measure"]
    settings = {
        measured_as(name, measure): measured_as(text, measure) for name, text in report["settings"].items()
    }
    sentences = {name: [measured_as(each, measure) for each in report[name]] for name in ("findings", "left_out")}
    return {**report, **sentences, "table": measured_as(report["table"], measure), "settings": settings}


def _write(source: ReportedRun, report: Mapping[str, Any], figures: Mapping[str, Figure]) -> None:
    model = source.problem.model
    images = {_image(name): image for name, image in run_figures.render_figures(figures).items()}
    markdown = report_page(
        title=report["title"],
        table=report["table"],
        findings=report["findings"],
        details=report["settings"],
        front=front_table(report["front"]),
        figures={CAPTIONS[name]: f"{name}.png" for name in figures},
    )
    shape = model.network.architecture.input_shape
    html = run_page(report, figures, source.rows, shape, len(model.classes))
    table = json.dumps(report["measurements"], indent=2) + "\n"
    markdown, html = (measured_as(page, report["measure"]) for page in (markdown, html))
    texts = {f"{FOLDER}/table.json": table, PAGE: markdown, HTML_PAGE: html}
    # The pages are written last, so that a reader of a page finds its figures.
    for name, content in {**images, **{name: text.encode() for name, text in texts.items()}}.items():
        source.run.store.write(name, content)


def _image(name: str) -> str:
    return f"{FOLDER}/{name}.png"


def _environment(description: Mapping[str, Any]) -> dict[str, str]:
    """Versions and hardware from ``run.json``, as texts."""
    lines = {}
    for part in ("versions", "hardware"):
        values = description.get(part)
        for name, value in (values if isinstance(values, dict) else {}).items():
            lines[str(name)] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return lines
