"""The page of Almarashi's experiment: accuracy and filters by cycle, layers, speed, sensitivity, settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.report.figures import run_figures
from experiments.studies.reproductions.common.line_figure import line_figure
from experiments.studies.reproductions.common.page import Page, Section

Rows = Sequence[Mapping[str, Any]]

CHECKLIST = {
    "figure 1: fine-tuning iterations (not printed)": "Accuracy by iteration",
    "figure 2: validation accuracy after pruning": "Accuracy by iteration",
    "figure 3: prunable convolution filters": "Filters left",
    "figure 4: layers of the network": "Layers before and after; the document shows the unpruned network alone",
    "accuracies of 90.5, 90.23 and 88.1%; 25% of the filters": "Result",
    "speed of inference (claimed, no figure)": "Speed of inference; not on a Jetson Nano, which is not at hand",
    "sensitivity to the threshold (claimed, no figure)": "Sensitivity to the threshold, Sensitivity to the step",
}
"""Each figure and table of the document, and the section that answers it."""


def write_page(out: Path, measured: Mapping[str, Any], plan: Mapping[str, Any], quick: bool) -> Path:
    """Write ``page.md`` and its figures into ``out``; the path of the page.

    Args:
        out: the folder.
        measured: ``epochs`` of the original network (empty: it was given), journal rows of ``cycles`` and
            ``at_once``, ``thresholds``, and ``speed``
            (:func:`experiments.benchmarks.speed.speed_comparison.compare_speed`).
        plan: of the experiment.
        quick: whether the images are digits.
    """
    cycles = measured["cycles"]
    options = ["--quick" if quick else "--data-dir FOLDER"] + (
        [] if measured["epochs"] else ["--model MODEL_DIR"]
    )
    return Page(
        title="ResNet-20, pruned by Taylor scores and fine-tuned in turn",
        document="Almarashi 2024: Pruning Image Classification CNN Network Using Taylor Scores for High-Speed "
        "Inference.",
        command=f"evoprune reproduce taylor-resnet20 OUT_DIR {' '.join(options)}",
        settings=_settings(plan, cycles, trained=bool(measured["epochs"])),
        checklist=CHECKLIST,
        sections=(
            _result(cycles),
            _accuracy(cycles),
            _filters(cycles),
            _layers(cycles),
            _speed(measured["speed"]),
            _thresholds(measured["thresholds"]),
            _steps(cycles, measured["at_once"]),
            _training(measured["epochs"]),
        ),
    ).write(out)


def _percent(accuracy: float) -> str:
    return f"{100 * accuracy:.2f}"


def _result(cycles: Rows) -> Section:
    first, last = cycles[0], cycles[-1]
    gone = 1 - last["filters"] / first["filters"]
    rows = [
        ("", "document", "here"),
        ("test accuracy before, %", "90.5 (text), 90.23 (printed)", _percent(first["accuracy"]["test"])),
        ("test accuracy after, %", "88.1", _percent(last["accuracy"]["test"])),
        ("points lost", "2.4", _percent(first["accuracy"]["test"] - last["accuracy"]["test"])),
        ("filters removed", "25%", f"{100 * gone:.1f}% ({first['filters'] - last['filters']})"),
        ("learnables before", "273.2k", f"{first['parameters']:,}"),
        ("learnables after", "not given", f"{last['parameters']:,}"),
        ("MACs before", "not given", f"{first['macs']:,}"),
        ("MACs after", "not given", f"{last['macs']:,}"),
    ]
    return Section("Result", table=rows)


def _accuracy(cycles: Rows) -> Section:
    numbers = [row["cycle"] for row in cycles]
    before = [100 * row["accuracy_before"]["test"] for row in cycles]
    after = [100 * row["accuracy"]["test"] for row in cycles]
    table = [("cycle", "filters left", "pruned, %", "fine-tuned, %", "learnables", "MACs")]
    table += [
        (
            str(row["cycle"]),
            str(row["filters"]),
            _percent(row["accuracy_before"]["test"]),
            _percent(row["accuracy"]["test"]),
            f"{row['parameters']:,}",
            f"{row['macs']:,}",
        )
        for row in cycles
    ]
    figure = line_figure(
        {"fine-tuned": (numbers, after), "pruned, before fine-tuning": (numbers, before)},
        title="Test accuracy by cycle",
        subtitle=f"{after[0]:.2f}% before, {after[-1]:.2f}% after {numbers[-1]} cycles",
        places="cycle of pruning and fine-tuning",
        values="test accuracy (%)",
        marked=True,
    )
    return Section(
        "Accuracy by iteration (figures 1 and 2)",
        table=table,
        figure=figure,
        caption="Test accuracy of each cycle, behind the removal and behind the fine-tuning",
    )


def _filters(cycles: Rows) -> Section:
    left = [row["filters"] for row in cycles]
    figure = line_figure(
        {"filters": ([row["cycle"] for row in cycles], left)},
        title="Prunable filters left by cycle",
        subtitle=f"{left[0]} before, {left[-1]} after {len(left) - 1} cycles",
        places="cycle of pruning and fine-tuning",
        values="filters (count)",
        marked=True,
    )
    return Section("Filters left (figure 3)", figure=figure, caption="Prunable filters left behind each cycle")


def _layers(cycles: Rows) -> Section:
    first, last = cycles[0]["filters_by_layer"], cycles[-1]["filters_by_layer"]
    table = [("layer", "filters before", "filters after", "left, %")]
    table += [(name, str(n), str(last[name]), f"{100 * last[name] / n:.0f}") for name, n in first.items()]
    return Section(
        "Layers before and after (figure 4)",
        [
            "The document's figure shows the unpruned network alone. stage1, stage2 and stage3 are channels that "
            "the shortcuts tie: each is one filter in all convolutions that add to them."
        ],
        table,
        run_figures.kept_filters_figure([(name, last[name], n) for name, n in first.items()]),
        "Filters of each layer before and after",
    )


def _speed(speed: Mapping[str, Any]) -> Section:
    table = [("runtime", "batch", "before, ms", "after, ms", "time after / before", "quartiles")]
    table += [
        (
            timing["runtime"],
            str(timing["batch"]),
            f"{1e3 * timing['base']['seconds']:.2f}",
            f"{1e3 * timing['pruned']['seconds']:.2f}",
            f"{timing['time_ratio']:.2f}",
            f"{timing['spread'][0]:.2f} to {timing['spread'][1]:.2f}",
        )
        for timing in speed["timings"]
    ]
    return Section(
        "Speed of inference",
        [
            "The document claims a speed-up on a Jetson Nano and gives no figure. Here, medians of turns "
            "(before, after, before, ...) on the machine of the experiment; MACs after / before: "
            f"{speed['mac_ratio']:.2f}."
        ],
        table,
    )


def _thresholds(rows: Rows) -> Section:
    table = [("filters removed, %", "highest Taylor score removed", "test accuracy, %", "learnables")]
    table += [
        (
            f"{100 * row['share']:.0f}",
            "-" if row["score"] is None else f"{row['score']:.4f}",
            _percent(row["accuracy"]),
            f"{row['parameters']:,}",
        )
        for row in rows
    ]
    figure = line_figure(
        {"test accuracy": ([100 * row["share"] for row in rows], [100 * row["accuracy"] for row in rows])},
        title="Sensitivity to the threshold",
        subtitle="filters with the lowest Taylor scores removed at once, not fine-tuned",
        places="filters removed (%)",
        values="test accuracy (%)",
        marked=True,
    )
    return Section(
        "Sensitivity to the threshold",
        ["The document speaks of varying the threshold and shows no figures. Here: all at once, no fine-tuning."],
        table,
        figure,
        "Test accuracy against the share of filters below the threshold",
    )


def _steps(cycles: Rows, at_once: Rows) -> Section:
    count = len(cycles) - 1
    table = [
        ("25% of the filters", "test accuracy, %", "learnables", "MACs"),
        *(
            (name, _percent(rows[-1]["accuracy"]["test"]), f"{rows[-1]['parameters']:,}", f"{rows[-1]['macs']:,}")
            for name, rows in (
                (f"in {count} cycles, an epoch of fine-tuning each", cycles),
                (f"at once, {count} epochs of fine-tuning", at_once),
            )
        ),
    ]
    return Section("Sensitivity to the step", table=table)


def _training(epochs: Rows) -> Section:
    if not epochs:
        return Section("The network to begin with", ["It was given, and was not trained here."])
    table = [("epoch", "rate", "training accuracy, %", "test accuracy, %")]
    table += [
        (
            str(row["epoch"]),
            f"{row['learning_rate']:.4f}",
            _percent(row["train_accuracy"]),
            _percent(row["accuracy"]),
        )
        for row in epochs
    ]
    return Section("The network to begin with", table=table)


def _settings(plan: Mapping[str, Any], cycles: Rows, trained: bool) -> dict[str, tuple[str, str]]:
    first = cycles[0]
    training = f"{plan['epochs']} epochs of SGD, rate 0.1 by cosine, {plan['augmentation']}"
    return {
        "images": ("CIFAR-10, 50,000 + 10,000", f"{plan['data']}, all of train and test"),
        "network": (
            "ResNet-20, 273.2k learnables (its figure 4)",
            f"resnet20, {first['parameters']:,} parameters",
        ),
        "framework": ("MATLAB", "JAX"),
        "training": ("not given", training if trained else "before, see docs/reproductions.md"),
        "score": (
            "Taylor, first order; loss, batch and normalisation not given",
            f"Taylor by layer's L2 norm, {plan['cycle_images']:,} training images",
        ),
        "prunable filters": ("not given; 25% go", f"{first['filters']}, tied channels counted once; 25% go"),
        "removed in an iteration": ("not given", f"{plan['step']} filters"),
        "iterations": ("not given", f"{len(cycles) - 1}"),
        "fine-tuning": (
            "not given",
            f"an epoch on the {plan['cycle_images']:,} images, rate 0.01 by cosine",
        ),
        "device of the speed": (
            "Jetson Nano, MATLAB GPU Coder",
            "machine of the experiment, JAX and ONNX Runtime",
        ),
    }
