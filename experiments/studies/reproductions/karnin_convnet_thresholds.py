"""Parts of the page of Khanal's experiment: thresholds (tables 6 and 7, figure 6), equal numbers of weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.studies.reproductions.common.line_figure import line_figure
from experiments.studies.reproductions.common.page import Section

KARNIN = {0: (52, 46, 13), 6: (52, 3, 3), 10: (52, 2, 2), 14: (52, 1, 1), 19: (52, 1, 1)}
"""Number of the threshold -> percent, synapses removed from FC1 and FC2: table 6, which lacks the thresholds."""
RANDOM = {
    0: (31, 21653, 4497),
    6: (44, 14830, 3139),
    10: (49, 10326, 2170),
    14: (51, 5662, 1257),
    19: (52, 37, 7),
}
"""Table 7, whose last threshold, 0.01, is none of the twenty; its counts are those of 0.001."""


def by_threshold(measured: Mapping[str, Any]) -> Section:
    """Accuracy by threshold, as a figure."""
    rows = measured["thresholds"]
    places = [row["threshold"] for row in rows["karnin"]]
    figure = line_figure(
        {
            "Karnin": (places, [100 * row["accuracy"] for row in rows["karnin"]]),
            "random (mean of draws)": (
                places,
                [100 * float(np.mean([row["accuracy"] for row in draws])) for draws in random_rows(measured)],
            ),
            "pseudocode": (places, [100 * row["accuracy"] for row in rows["literal"]]),
            "random, document": ([places[number] for number in RANDOM], [row[0] for row in RANDOM.values()]),
        },
        title="Test accuracy by pruning threshold",
        subtitle="weights of FC1 and FC2 with a sensitivity below the threshold are 0",
        places="threshold on sensitivities normalised to 0 to 1",
        values="test accuracy (%)",
        marked=True,
    )
    return Section(
        "Figure 6: thresholds",
        figure=figure,
        caption="Test accuracy by threshold, ours and the document's table 7",
    )


def threshold_table(measured: Mapping[str, Any]) -> Section:
    """Accuracy and synapses removed by threshold."""
    table = [
        (
            "threshold",
            "Karnin: document",
            "here, %",
            "removed here",
            "random: document",
            "here, %",
            "removed here",
            "pseudocode, %",
            "removed",
        )
    ]
    rows = measured["thresholds"]
    for number, (karnin, draws, literal) in enumerate(
        zip(rows["karnin"], random_rows(measured), rows["literal"], strict=True)
    ):
        accuracies = [draw["accuracy"] for draw in draws]
        table.append(
            (
                f"{karnin['threshold']:.3f}",
                _theirs(KARNIN, number),
                percent(karnin["accuracy"]),
                counts(karnin["removed"]),
                _theirs(RANDOM, number),
                f"{percent(min(accuracies))} to {percent(max(accuracies))}",
                counts(draws[0]["removed"]),
                percent(literal["accuracy"]),
                counts(literal["removed"]),
            )
        )
    return Section(
        "Tables 6 and 7: synapses removed (FC1 + FC2)",
        (
            "Random: accuracy of all draws, counts of the first. Table 6 has lost its thresholds in print; those "
            "of table 7 are assumed. Table 7 gives 0.01 for its last, which is not among the twenty points; its "
            "counts, 37 and 7, are a thousandth of all synapses: 0.001.",
        ),
        table,
    )


def _theirs(rows: Mapping[int, tuple[int, int, int]], number: int) -> str:
    if number not in rows:
        return ""
    accuracy, *removed = rows[number]
    return f"{accuracy}%, {counts(removed)}"


def by_share(measured: Mapping[str, Any]) -> Section:
    """Accuracy when each method removes equally many weights."""
    labels = {"karnin": "Karnin", "magnitude": "magnitude", "random": "random"}
    rows = {label: measured["shares"][name] for name, label in labels.items()}
    percents = [row["percent"] for row in rows["Karnin"]]
    table = [("removed, % of both layers", *(f"{label}, %" for label in rows))]
    for numbers in zip(*rows.values(), strict=True):
        table.append((str(numbers[0]["percent"]), *(percent(row["accuracy"]) for row in numbers)))
    return Section(
        "Not in the document: equal numbers of weights",
        (
            "At the document's threshold one method removes 59 weights and the other 26,150, so that figure 6 "
            "cannot say which chooses better. Here each removes the same share of the weights of FC1 and FC2 "
            "together: lowest sensitivity (not normalised), smallest magnitude, or at random.",
        ),
        table,
        line_figure(
            {label: (percents, [100 * row["accuracy"] for row in numbers]) for label, numbers in rows.items()},
            title="Test accuracy by share of weights removed",
            subtitle="FC1 and FC2 together, not retrained",
            places="weights removed (%)",
            values="test accuracy (%)",
            marked=True,
        ),
        "Test accuracy at equal numbers of weights removed",
    )


def random_rows(measured: Mapping[str, Any]) -> list[Sequence[Mapping[str, Any]]]:
    """For each threshold, the rows of all draws."""
    draws = [rows for name, rows in measured["thresholds"].items() if name.startswith("random")]
    return list(zip(*draws, strict=True))


def percent(accuracy: float) -> str:
    """A share of 0 to 1 as percent."""
    return f"{100 * accuracy:.2f}"


def counts(removed: Sequence[int]) -> str:
    """Synapses removed of each layer."""
    return " + ".join(f"{count:,}" for count in removed)
