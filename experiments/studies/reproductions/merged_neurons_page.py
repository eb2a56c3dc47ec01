"""The page of Asaraf Ali's experiment: baseline, accuracy against units pruned, settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.datasets import ImageSet
from experiments.studies.reproductions.common.line_figure import line_figure
from experiments.studies.reproductions.common.page import Page, Section

CHECKLIST = {
    "figure 1: images of each class": "Images of each class, as a table",
    "table 1: validation accuracy by learning rate": "none: its best rate, 0.01, is taken and not sought again",
    "figure 2: LeNet-5": "none: a drawing of a known network",
    "listings of the pruning rule": "Test accuracy against units pruned (document's rule)",
    "figure 3: baseline by epoch": "The baseline",
    "figure 4: test accuracy and neurons pruned": "Test accuracy against units pruned",
}
"""Each figure and table of the document, and the section that answers it."""

LABELS = {
    "merged-retrained": "merged, retrained",
    "literal-retrained": "document's rule, retrained",
    "merged-as-it-is": "merged",
    "literal-as-it-is": "document's rule",
    "removed-as-it-is": "removed only",
}
"""Of the series; the last three without retraining."""

FALL = 0.05
"""What a fall of the accuracy is, of 1: more than this below the baseline's."""


def flat_to(accuracies: Sequence[float]) -> int:
    """How many units can go before the accuracy (0 to 1; the baseline's comes first) has fallen."""
    below = [number for number, accuracy in enumerate(accuracies) if accuracy < accuracies[0] - FALL]
    return below[0] - 1 if below else len(accuracies) - 1


def write_page(
    out: Path, measured: Mapping[str, Any], splits: Mapping[str, ImageSet], plan: Mapping[str, Any], quick: bool
) -> Path:
    """Write ``page.md`` and its figures into ``out``; the path of the page.

    Args:
        out: the folder.
        measured: ``curve``, a row for each epoch of the baseline, and ``series``, rows by name of a series.
        splits: the images, for what the page says about them.
        plan: of the experiment.
        quick: whether the images are digits.
    """
    return Page(
        title="LeNet-5: units of the sixth layer merged and pruned one by one",
        document="Asaraf Ali: A study of effect of pruning in a fully connected layer of a CNN architecture used "
        "for classification.",
        command=f"evoprune reproduce merged-neurons OUT_DIR {'--quick' if quick else '--data-dir FOLDER'}",
        settings=_settings(splits, plan),
        checklist=CHECKLIST,
        sections=(_result(measured), _units(measured["series"]), _baseline(measured["curve"]), _images(splits)),
    ).write(out)


def _result(measured: Mapping[str, Any]) -> Section:
    last, series = measured["curve"][-1], measured["series"]
    pruned = series["merged-retrained"][-1]["pruned"]
    rows = [
        ("", "document", "here"),
        ("test accuracy of the baseline", "0.57", f"{last['test']:.2f}"),
        ("validation accuracy of the baseline", "0.73", f"{last['val']:.2f}"),
    ]
    for name, label in LABELS.items():
        units = flat_to([row["test"] for row in series[name]])
        retrained = "" if "retrained" in label else ", not retrained"
        theirs = "about 50 of 84" if name == "literal-retrained" else "-"
        rows.append((f"flat to (units pruned): {label}{retrained}", theirs, f"{units} of {pruned} tried"))
    return Section(
        "Result",
        [
            "The document's accuracy stays about the same until some 50 units are gone and then falls. Here, "
            f"flat means that the test accuracy has never been more than {100 * FALL:.0f} points below the "
            "baseline's."
        ],
        rows,
    )


def _units(series: Mapping[str, Sequence[Mapping[str, Any]]]) -> Section:
    count = series["merged-retrained"][-1]["pruned"]
    shown = sorted({*range(0, count, 10), count - 1, count})
    table = [("units pruned", *(LABELS[name] for name in series))]
    table += [(str(n), *(f"{100 * rows[n]['test']:.1f}" for rows in series.values())) for n in shown]
    figure = line_figure(
        {
            LABELS[name]: ([row["pruned"] for row in rows], [100 * row["test"] for row in rows])
            for name, rows in series.items()
        },
        title="Test accuracy against units pruned",
        subtitle="84 units of the sixth layer, the most similar first",
        places="units pruned",
        values="test accuracy (%)",
    )
    return Section(
        "Test accuracy against units pruned (figure 4)",
        [
            "The document's rule adds the incoming weights of the two units. Ours adds the outgoing weights, "
            "which keeps the function of the network (experiments/studies/merging.py). Both are shown with the "
            "document's retraining after each pruning, and without retraining. Test accuracy in percent."
        ],
        table,
        figure,
        "Test accuracy against units pruned, with and without retraining",
    )


def _baseline(curve: Sequence[Mapping[str, Any]]) -> Section:
    epochs = [row["epoch"] for row in curve]
    figure = line_figure(
        {
            "training": (epochs, [100 * row["train"] for row in curve]),
            "validation": (epochs, [100 * row["val"] for row in curve]),
        },
        title="Training of the baseline",
        subtitle=f"after epoch {epochs[-1]}: validation {100 * curve[-1]['val']:.1f}%, "
        f"test {100 * curve[-1]['test']:.1f}%",
        places="epoch",
        values="accuracy (%)",
    )
    return Section(
        "The baseline (figure 3)",
        ["Training accuracy is that of the augmented images while the weights change."],
        figure=figure,
        caption="Training and validation accuracy of the baseline by epoch",
    )


def _images(splits: Mapping[str, ImageSet]) -> Section:
    names = ("train", "val", "test")
    counts = [np.bincount(splits[name].labels, minlength=len(splits["train"].classes)) for name in names]
    rows: list[tuple[str, ...]] = [("class", *names)]
    rows += [(label, *(str(count[i]) for count in counts)) for i, label in enumerate(splits["train"].classes)]
    return Section("Images of each class (figure 1)", ["The document's classes are balanced."], rows)


def _settings(splits: Mapping[str, ImageSet], plan: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    images, used = splits["train"], plan["settings"]
    kind = images.source.partition(":")[0]
    what = {"vehiclex": "VehicleX", "parquet": "vehicle-body: photographs of cars (Stanford Cars)"}.get(
        kind, kind
    )
    sizes = ", ".join(f"{len(splits[name]):,} {name}" for name in ("train", "val", "test"))
    return {
        "images": ("VehicleX (rendered), first 10 vehicle IDs (20 in the abstract)", f"{what}, {sizes}"),
        "classes": ("10 vehicle IDs", f"{len(images.classes)}: {', '.join(images.classes)}"),
        "validation images": ("VehicleX's own split", "its own" if kind == "vehiclex" else "a tenth of train"),
        "input": ("grey, standardised, 32x32", "the same"),
        "network": ("LeNet-5, tanh; a sigmoid behind the last layer", "the same without the sigmoid (lenet5)"),
        "augmentation": (
            "flip, rotation, brightness, contrast, saturation; strengths not given",
            plan["augmentation"] + ("" if kind == "digits" else ", 15 degrees, 20%"),
        ),
        "optimizer": (
            "not given",
            f"SGD, momentum {used['momentum']}, no weight decay, no clipping, constant rate",
        ),
        "learning rate": ("0.01", f"{used['learning_rate']}"),
        "batch size": ("16", f"{used['batch_size']}"),
        "epochs of the baseline": ("200", f"{plan['epochs']}"),
        "epochs of each retraining": ("not given (200?)", f"{plan['retraining']}"),
        "activation vectors": ("over images; which is not said", "over all training images, not augmented"),
    }
