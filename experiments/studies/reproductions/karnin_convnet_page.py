"""The page of Khanal's experiment: loss, confusion matrices, accuracy by class, settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.studies.reproductions.common.confusion_figure import class_accuracies, confusion_figure
from experiments.studies.reproductions.common.line_figure import line_figure
from experiments.studies.reproductions.common.page import Page, Section
from experiments.studies.reproductions.karnin_convnet_thresholds import (
    by_share,
    by_threshold,
    counts,
    percent,
    random_rows,
    threshold_table,
)

CHECKLIST = {
    "figure 1": "none: not in the copy at hand",
    "tables 1 and 2: layers": "none: the same network, models/networks/convnet.py",
    "figure 2: loss of the base network": "Figure 2",
    "figure 3: confusion matrix, training images": "Figure 3",
    "table 3: accuracy of each class": "Tables 3 to 5",
    "figure 4: confusion matrix of the base network": "Figure 4",
    "table 4: base and pruned network": "Tables 3 to 5",
    "figure 4, its second: confusion matrix of the pruned network": "Figure 4 (again)",
    "table 5: randomly pruned network": "Tables 3 to 5",
    "figure 5: confusion matrix of the randomly pruned network": "Figure 5",
    "figure 6: threshold and accuracy": "Figure 6",
    "tables 6 and 7: synapses removed": "Tables 6 and 7",
}
"""Each figure and table of the document, and the section that answers it."""

CLASSES = {
    "base": (56, 51, 33, 42, 39, 40, 64, 61, 57, 71),
    "Karnin": (57, 52, 35, 40, 41, 41, 64, 62, 57, 69),
    "random": (15, 11, 71, 6, 46, 7, 62, 4, 57, 23),
}
"""Tables 3 to 5, percent. Table 4 has 401 for 41, a misprint."""

SETTINGS = {
    "framework": ("not said; network and class names are those of PyTorch's CIFAR-10 tutorial", "Flax NNX"),
    "learning rate": ("0.001, constant", "the same"),
    "momentum; batch; epochs": ("not said", "0.9; 4; 2, the tutorial's: a guess"),
    "pixels": ("not said", "-1 to 1, as in the tutorial"),
    "initial weights": ("not said", "He normal; the last layer a tenth of its variance"),
    "seed": ("none", "0"),
    "sensitivity": (
        "formula: a sum of squared changes times a quotient; pseudocode: plus a quotient, once an epoch",
        "the formula, over all steps; the pseudocode beside it",
    ),
    "weight that did not change": ("sensitivity 0", "the same"),
    "normalisation": (
        '"to the range (0,1)", by "any appropriate measure"',
        "smallest to 0, largest to 1, by layer",
    ),
    "synapses": ("of FC1 and FC2", "the same: 48,000 and 10,080 weights, no biases"),
    "random sensitivities": ("drawn once (so it seems)", "several draws, each the same at all thresholds"),
}


def write_page(out: Path, measured: Mapping[str, Any], quick: bool) -> Path:
    """Write ``page.md`` and its figures into ``out``; the path of the page.

    Args:
        out: the folder.
        measured: see :func:`experiments.studies.reproductions.karnin_convnet.run`.
        quick: whether the images are digits.
    """
    return Page(
        title="Weights of a small network removed by Karnin's sensitivity",
        document="Khanal 2018: Examining the Effects of Pruning on a Convolution Neural Network.",
        command=f"evoprune reproduce karnin-convnet OUT_DIR {'--quick' if quick else '--data-dir FOLDER'}",
        settings=SETTINGS,
        checklist=CHECKLIST,
        sections=(
            _result(measured),
            _loss(measured),
            _confusion(measured, "train", "Figure 3: base, training images", "Base on the training images"),
            _confusion(measured, "base", "Figure 4: base, test images", "Base on the test images"),
            _confusion(measured, "karnin", "Figure 4 (again): pruned at 0.45", "Pruned by Karnin's sensitivity"),
            _confusion(measured, "random-0", "Figure 5: pruned at random at 0.45", "Pruned at random"),
            _classes(measured),
            by_threshold(measured),
            threshold_table(measured),
            by_share(measured),
        ),
    ).write(out)


def _matrix(measured: Mapping[str, Any], name: str) -> np.ndarray:
    found = measured[name] if name in measured else measured["thresholds"][name][0]["confusion"]
    return np.array(found)


def _accuracy(measured: Mapping[str, Any], name: str) -> float:
    matrix = _matrix(measured, name)
    return float(np.trace(matrix) / matrix.sum())


def _result(measured: Mapping[str, Any]) -> Section:
    at = {name: rows[0] for name, rows in measured["thresholds"].items()}
    draws = [row["accuracy"] for row in random_rows(measured)[0]]
    rows = [
        ("at threshold 0.45", "document", "here"),
        ("base, %", "52", percent(_accuracy(measured, "base"))),
        ("pruned by Karnin's sensitivity, %", "52 (52.66)", percent(at["karnin"]["accuracy"])),
        ("synapses removed, FC1 + FC2", "46 + 13", counts(at["karnin"]["removed"])),
        ("pruned at random, %", "31", f"{percent(min(draws))} to {percent(max(draws))} in {len(draws)} draws"),
        ("synapses removed, FC1 + FC2", "21,653 + 4,497", counts(at["random-0"]["removed"])),
        ("pseudocode to the letter, %", "", percent(at["literal"]["accuracy"])),
        ("synapses removed, FC1 + FC2", "", counts(at["literal"]["removed"])),
    ]
    negative = ", ".join(
        f"{100 * share:.1f}% in {name.split('.')[0].upper()}" for name, share in measured["negative"].items()
    )
    seconds, processor = measured["seconds"]
    return Section(
        "Result",
        (
            f"Negative sensitivities: {negative}. Training with sensitivities: {seconds:.0f} s by the clock, "
            f"{processor:.0f} s of processor time.",
        ),
        rows,
    )


def _loss(measured: Mapping[str, Any]) -> Section:
    losses = np.array(measured["losses"])
    # About a hundred points; each is the mean of the entries that it stands for.
    group = max(1, len(losses) // 100)
    whole = losses[: len(losses) // group * group].reshape(-1, group, 2)
    return Section(
        "Figure 2: loss of the base network",
        figure=line_figure(
            {"loss": (whole[:, -1, 0].tolist(), whole[:, :, 1].mean(1).tolist())},
            title="Training loss of the base network",
            subtitle=f"means over {round(float(np.diff(whole[:, -1, 0]).max())):,} steps at most",
            places=f"step ({measured['steps_per_epoch']:,} an epoch)",
            values="cross-entropy (nats)",
        ),
        caption="Training loss of the base network",
    )


def _confusion(measured: Mapping[str, Any], name: str, heading: str, title: str) -> Section:
    matrix = _matrix(measured, name)
    return Section(
        heading,
        figure=confusion_figure(matrix, measured["classes"], title=title),
        caption=f"{title}: images of each class by the answer",
    )


def _classes(measured: Mapping[str, Any]) -> Section:
    names = {"base": "base", "Karnin": "karnin", "random": "random-0"}
    ours = {label: class_accuracies(_matrix(measured, name)) for label, name in names.items()}
    table = [("class", *(f"{label}, {whose}, %" for label in names for whose in ("document", "here")))]
    for number, name in enumerate(measured["classes"]):
        cells = []
        for label in names:
            theirs = CLASSES[label][number] if number < len(CLASSES[label]) else ""
            cells += [str(theirs), f"{100 * ours[label][number]:.1f}"]
        table.append((name, *cells))
    return Section(
        "Tables 3 to 5: accuracy by class, test images",
        (
            "Pruned at 0.45; random: the first draw. The document says that pruning improved each class; its own "
            "table has cat and truck fall by 2 points each.",
        ),
        table,
    )
