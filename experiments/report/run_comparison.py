"""Several runs compared: ``evoprune report RUN_A RUN_B ... --out DIR``."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from engine.errors import OptionError
from engine.stores.locations import open_store
from experiments.progress import Reporter, Silent
from experiments.report.compared_run import ComparedRun
from experiments.report.figures import run_figures
from experiments.report.figures.run_comparison import (
    Look,
    Scored,
    drop_over_budget_figure,
    drop_over_generations_figure,
    trade_offs_figure,
)
from experiments.report.html.run_comparison_page import run_comparison_page
from models.output_directory import check_target

PAGE = "comparison.html"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def compare_runs(
    directories: Sequence[str | os.PathLike[str]],
    out: Path,
    *,
    model: str | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Write ``comparison.html``, ``comparison.json`` and PNG figures into a new directory.

    The runs are read and not changed. Without its model a run has no trade-off, and ``left_out`` says so.

    Args:
        directories: of two runs or more, paths or URLs.
        out: must not exist, or be empty.
        model: where the runs' model is now, if it moved.
        reporter: receives sentences for the user.

    Returns:
        The figures of each run, the settings that differ, and the paths written.

    Raises:
        OptionError: fewer than two runs, or more than there are letters.
        StoreError: ``out`` is occupied.
        RunError: a directory is no run, has no finished generation, or is damaged.
    """
    if not 2 <= len(directories) <= len(_LETTERS):
        raise OptionError(f"a comparison takes 2 to {len(_LETTERS)} runs, not {len(directories)}.")
    check_target(Path(out))
    reporter = reporter or Silent()
    runs = [
        ComparedRun.read(letter, os.fspath(directory), model, reporter)
        for letter, directory in zip(_LETTERS, directories, strict=False)
    ]
    figures = _figures(runs)
    store = open_store(Path(out))
    images = {f"{name}.png": image for name, image in run_figures.render_figures(figures).items()}
    comparison = {
        "runs": [run.to_json() for run in runs],
        "differences": _differences([run.settings() for run in runs]),
        "left_out": _left_out(runs),
        "page": store.full_name(PAGE),
        "figures": [store.full_name(name) for name in images],
    }
    page = run_comparison_page(comparison, figures)
    texts = {"comparison.json": json.dumps(comparison, indent=2, allow_nan=False) + "\n", PAGE: page}
    for name, content in {**images, **{name: text.encode() for name, text in texts.items()}}.items():
        store.write(name, content)
    return comparison


def _figures(runs: Sequence[ComparedRun]) -> dict[str, Figure]:
    courses = [run.course for run in runs]
    figures = {"parameter_drop": drop_over_generations_figure(courses)}
    if any(run.images is not None for run in runs):
        figures["parameter_drop_over_budget"] = drop_over_budget_figure(courses)
    scored = []
    for number, run in enumerate(runs):
        if run.trade_off is not None:
            best = run.state.best.figures
            place = (float(best["parameter_drop"]), float(best["accuracy_drop"]))
            scored.append(Scored(run.label, Look.of(number), run.trade_off, place))
    if scored:
        threshold = max(run.options.threshold for run in runs)
        figures["trade_offs"] = trade_offs_figure(scored, threshold)
    return figures


def _left_out(runs: Sequence[ComparedRun]) -> list[str]:
    said = [run.why_not for run in runs if run.why_not is not None]
    if agreeing := [run.label for run in runs if not run.options.data.labelled]:
        said.append(
            f"Accuracy of run {', '.join(agreeing)} is agreement with the unpruned network, not accuracy."
        )
    unknown = [run.label for run in runs if run.images is None]
    if unknown:
        said.append(
            f"The budget of run {', '.join(unknown)} is left out: its run.json does not say on how many images "
            "(it was begun by an older version)."
        )
    return said


def _differences(settings: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Settings that are not the same in all runs, with each run's value; None where a run does not know one."""
    names = dict.fromkeys(name for entry in settings for name in entry)
    values = {name: [entry.get(name) for entry in settings] for name in names}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}
