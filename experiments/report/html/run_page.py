"""The HTML page of a run, made from the JSON of the report and the figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from experiments.report.figures.style import percent
from experiments.report.figures.trade_off import NOUNS
from experiments.report.html.network_picture import network_picture
from experiments.report.html.rendering import Drawn, count, render
from experiments.runs.watching.front_points import thinned

MOST_CLASSES = 20
"""Number of classes up to which each class has a line and confusion matrices are whole."""
MOST_PAIRS = 15

_SERIES = {
    "parameter_drop": ("parameters dropped by BEST", "The thesis's Figure 4.2."),
    "mac_drop": ("MACs dropped by BEST", "The thesis's Figure 4.3."),
    "latency_drop": ("latency dropped by BEST", "From the run's table of measured layers."),
    "accuracy_drop": ("accuracy drop of BEST on the fitness images", "The thesis's Figure 4.1."),
}


def run_page(
    report: Mapping[str, Any],
    figures: Mapping[str, Figure],
    rows: Sequence[Mapping[str, Any]],
    input_shape: Sequence[int],
    classes: int,
) -> str:
    """The text of ``report.html``.

    Args:
        report: what :func:`experiments.report.run.make_report` returns.
        figures: by name; they lose their headlines.
        rows: of the journal.
        input_shape: of an image.
        classes: number of classes.
    """
    best, threshold = report["best"], report["threshold"]
    trade_off, result = report["trade_off"], report["result"]
    diamond = "" if result is None or result["is_best"] else " Diamond: RESULT."
    series = [
        Drawn.of(figures[name], alt=_told(what, name, rows), caption=caption)
        for name, (what, caption) in _SERIES.items()
        if name in figures
    ]
    if "island_scores" in figures:
        series.append(Drawn.of(figures["island_scores"], alt=_told_of_islands(rows)))
    else:
        alt = "Highest, median and lowest score of the population over the generations."
        series.append(Drawn.of(figures["population_scores"], alt=alt))
    trade_offs = [
        Drawn.of(
            figures[figure],
            alt=f"Accuracy drop against {NOUNS[name]} dropped of {count(trade_off['masks'])} masks. BEST drops "
            f"{percent(best[name])} of the {NOUNS[name]} at an accuracy drop of "
            f"{percent(best['accuracy_drop'])}{_told_result(result, name)}; "
            f"the threshold is {percent(threshold)}.",
            caption=f"Lower right is better. Star: BEST.{diamond} Line: the front, which no mask surpasses.",
        )
        for figure, name in (("trade_off", "parameter_drop"), ("mac_trade_off", "mac_drop"))
    ]
    return render(
        "run.html",
        report=report,
        picture=network_picture(report["layers"], input_shape, classes),
        trade_offs=trade_offs,
        steps=thinned(report["front"]["points"]),
        series=series,
        **_classes(report["classes"]),
    )


def _told(what: str, key: str, rows: Sequence[Mapping[str, Any]]) -> str:
    first, last = rows[0], rows[-1]
    return (
        f"{what}, from {percent(first['best'][key])} in generation {count(first['generation'])} to "
        f"{percent(last['best'][key])} in generation {count(last['generation'])}."
    )


def _told_result(result: Mapping[str, Any] | None, name: str) -> str:
    if result is None or result["is_best"]:
        return ""
    return f" and RESULT {percent(result[name])} at {percent(result['accuracy_drop'])}"


def _told_of_islands(rows: Sequence[Mapping[str, Any]]) -> str:
    scores = [island["highest_score"] for island in rows[-1]["islands"]]
    told = ", ".join("none" if score is None else f"{score:.2f}" for score in scores)
    return f"Highest scores of the {len(scores)} islands over the generations; in the last one: {told}."


def _classes(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Values of the section on classes: all classes, or the classes that changed most."""
    if found is None:
        return {"rows": [], "names": [], "matrices": False, "confused": []}
    entries, names = found["classes"], [entry["name"] for entry in found["classes"]]
    if len(entries) <= MOST_CLASSES:
        return {"rows": entries, "names": names, "matrices": True, "confused": []}
    seen = [entry for entry in entries if entry["images"]]
    changed = sorted(seen, key=lambda entry: -abs(entry["accuracy"] - entry["original_accuracy"]))
    pairs = [
        {"right": names[i], "given": names[j], "before": found["original_confusion"][i][j], "after": after}
        for i, row in enumerate(found["confusion"])
        for j, after in enumerate(row)
        if i != j and after
    ]
    pairs.sort(key=lambda pair: -pair["after"])
    return {"rows": changed[:MOST_CLASSES], "names": names, "matrices": False, "confused": pairs[:MOST_PAIRS]}
