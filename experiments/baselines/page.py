"""A comparison of methods as a Markdown table, and as a directory of table, figure, numbers and masks."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.stores.atomic import write_atomically
from experiments.baselines.plots import baseline_figure, compensated_by
from experiments.markdown import markdown_table
from experiments.report.figures.run_figures import render_figures
from experiments.report.figures.style import reworded
from experiments.report.markdown_page import report_page
from experiments.runs.knowledge.importances import SPLIT
from experiments.spelling import measured_as
from fitness.objective.rewards import OBJECTIVES

CAPTION = "Accuracy without retraining against what is dropped"


def baseline_table(result: Mapping[str, Any]) -> str:
    """The largest drop within the threshold of each method, largest first, as Markdown; then BEST of the run.

    With ratios, the accuracy of each method at each of them.

    ``result``: see :func:`experiments.baselines.method_comparison.compare_baselines`.
    """
    if result["ratios"] is not None:
        return _table_of_ratios(result)
    how = compensated_by(result["compensation"])
    rows = [
        _row(f"{name}{how}", entry["evaluations"], entry, within="_within_threshold")
        for name, entry in by_drop(result["methods"], result["objective"])
    ]
    if result["run"] is not None:
        beyond = "" if result["run"]["within_threshold"] else ", beyond the threshold"
        how = compensated_by(result["run"]["compensation"])
        rows.append(_row(f"BEST of the run{how}{beyond}", result["run"]["evaluations"], result["run"], within=""))
    latency = ("latency drop",) if result["objective"] == "latency" else ()
    costs = ("parameter drop", "MAC drop", *latency)
    header = ("method", *costs, "accuracy drop", "filters removed", "masks evaluated")
    return markdown_table([header, *rows], align_right=True)


def _table_of_ratios(result: Mapping[str, Any]) -> str:
    """Columns are ratios. Methods remove equally many filters of each layer, so that they share the costs."""
    how, curve = compensated_by(result["compensation"], result["refit_images"]), []
    rows = []
    for name, entry in result["methods"].items():
        curve = entry["curve"]
        shown = ["failed" if point["accuracy"] is None else f"{100 * point['accuracy']:.2f}%" for point in curve]
        rows.append((f"{name}{how}", *shown))
    for kind in ("parameter", "MAC", "latency"):
        drop = f"{kind.lower()}_drop"
        if curve and drop in curve[0]:
            rows.append((f"{kind} drop", *(f"{point[drop]:.2f}%" for point in curve)))
    header = ("accuracy", "original", *(f"{ratio:g}%" for ratio in result["ratios"]))
    return markdown_table([header, *rows], align_right=True)


def by_drop(methods: Mapping[str, Mapping[str, Any]], objective: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Names and entries, largest drop of the objective's within the threshold first."""
    figure = f"{OBJECTIVES[objective].figure}_within_threshold"
    return sorted(methods.items(), key=lambda item: -item[1][figure])


def write_baselines(
    directory: Path,
    result: Mapping[str, Any],
    masks: Mapping[str, np.ndarray],
    title: str,
) -> list[str]:
    """Write ``baseline.md``, ``baseline.png``, ``baseline.json`` and ``masks/METHOD.npy``; their paths.

    ``masks``: ``bool[f]`` by method. The page is written last, so that its reader finds the figure.

    Raises:
        OSError: the directory cannot be written, or the disk is full.
    """
    figure = baseline_figure(result)
    reworded(figure, result["measure"])
    [image] = render_figures({"baseline": figure}).values()
    contents = {f"masks/{name}.npy": _npy(mask) for name, mask in masks.items()}
    contents["baseline.png"] = image
    contents["baseline.json"] = (json.dumps(result, indent=2, allow_nan=False) + "\n").encode()
    figures = {CAPTION: "baseline.png"}
    page = report_page(title=title, table=result["table"], details=_details(result), figures=figures)
    contents["baseline.md"] = measured_as(page, result["measure"]).encode()
    (directory / "masks").mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(directory / name, content)
    return [str(directory / name) for name in contents]


def _row(name: str, evaluations: int, entry: Mapping[str, Any], *, within: str) -> tuple[str, ...]:
    known = (f"{kind}_drop{within}" for kind in ("parameter", "mac", "latency", "accuracy"))
    drops = [entry[name] for name in known if name in entry]
    shown = ["failed" if drop is None else f"{drop:.2f}%" for drop in drops]
    return (name, *shown, f"{entry['removed_filters']:,}", f"{evaluations:,}")


def _details(result: Mapping[str, Any]) -> dict[str, str]:
    """The settings of the comparison in words."""
    seen = result["importance_images"]
    removed = f"{result['scope']}, floor {result['floor']:g}"
    if result["ratios"] is not None:
        removed = "; ".join(f"{ratio:g}%" for ratio in result["ratios"]) + " of the filters of every layer leave"
    ranking = {} if seen is None else {"importances": f"on {seen:,} images of the {SPLIT} split; {removed}"}
    return {
        "images": f"{result['total']:,} of the {result['split']} split",
        "threshold": f"{result['threshold']:g}% accuracy drop",
        "objective": f"to drop {OBJECTIVES[result['objective']].noun}",
        **ranking,
        "seed": f"{result['seed']}",
        "compensation": result["compensation"],
        **({"except": "; ".join(result["not_compensated"])} if result["not_compensated"] else {}),
        **{f"{name} is left out": reason for name, reason in result["left_out"].items()},
    }


def _npy(mask: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, mask)
    return content.getvalue()
