"""The comparison of methods as a table, and as a directory of table, figure, numbers and masks."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.atomic import write_atomically
from experiments.baseline_plots import baseline_figure
from experiments.markdown import markdown_table
from experiments.plots import render_figures
from experiments.report_page import report_page
from fitness.rewards import OBJECTIVES

CAPTION = "Accuracy without retraining against what is dropped"


def baseline_table(result: Mapping[str, Any]) -> str:
    """The largest drop within the threshold of each method, largest first, as Markdown.

    ``result``: of :func:`experiments.baselines.compare_baselines`. A run's BEST follows, whatever its drop.
    """
    rows = [
        _row(name, entry["evaluations"], entry, within="_within_threshold")
        for name, entry in by_drop(result["methods"], result["objective"])
    ]
    if result["run"] is not None:
        beyond = "" if result["run"]["within_threshold"] else ", beyond the threshold"
        method = result["run"]["compensation"]
        how = "" if method == "none" else f", compensated by {method}"
        rows.append(_row(f"BEST of the run{how}{beyond}", result["run"]["evaluations"], result["run"], within=""))
    latency = ("latency drop",) if result["objective"] == "latency" else ()
    costs = ("parameter drop", "MAC drop", *latency)
    header = ("method", *costs, "accuracy drop", "filters removed", "masks evaluated")
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
    details: Mapping[str, str],
) -> list[str]:
    """Write ``baseline.md``, ``baseline.png``, ``baseline.json`` and ``masks/METHOD.npy``; their paths.

    ``masks``: ``bool[f]`` by method. The page is written last: it then finds what it shows.

    Raises:
        OSError: the directory cannot be written, or the disk is full.
    """
    [image] = render_figures({"baseline": baseline_figure(result)}).values()
    contents = {f"masks/{name}.npy": _npy(mask) for name, mask in masks.items()}
    contents["baseline.png"] = image
    contents["baseline.json"] = (json.dumps(result, indent=2, allow_nan=False) + "\n").encode()
    page = report_page(title=title, table=result["table"], details=details, figures={CAPTION: "baseline.png"})
    contents["baseline.md"] = page.encode()
    (directory / "masks").mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(directory / name, content)
    return [str(directory / name) for name in contents]


def _row(name: str, evaluations: int, entry: Mapping[str, Any], *, within: str) -> tuple[str, ...]:
    known = (f"{kind}_drop{within}" for kind in ("parameter", "mac", "latency", "accuracy"))
    drops = [entry[name] for name in known if name in entry]
    shown = ["failed" if drop is None else f"{drop:.2f}%" for drop in drops]
    return (name, *shown, f"{entry['removed_filters']:,}", f"{evaluations:,}")


def _npy(mask: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, mask)
    return content.getvalue()
