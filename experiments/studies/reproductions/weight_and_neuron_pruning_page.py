"""The page of Muppalla and Kumar's experiment: accuracy and time by percentage, the listing, CNN, repetition."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.studies.reproductions.common.line_figure import line_figure
from experiments.studies.reproductions.common.page import Page, Section

# Percentage -> accuracy and seconds by weights, accuracy and seconds by neurons: the document's output.
THEIRS = {
    0: (0.8720, 44.45, 0.8720, 9.48),
    25: (0.8717, 43.66, 0.8710, 12.13),
    50: (0.8710, 38.29, 0.8748, 10.84),
    60: (0.8721, 33.82, 0.8662, 9.65),
    70: (0.8726, 33.32, 0.7528, 10.25),
    80: (0.8607, 32.02, 0.4522, 11.31),
    90: (0.8260, 30.87, 0.1000, 10.56),
    95: (0.6309, 30.55, 0.1000, 9.97),
    97: (0.3286, 27.59, 0.1000, 11.35),
    99: (0.1000, 26.67, 0.1000, 10.53),
}

CHECKLIST = {
    "table of the literature": "none: nothing is measured in it",
    "figure 10: complete CNN (and drawings of layers)": "none: drawings of known layers",
    "model summary of the CNN": "The CNN beside it (parameters)",
    "output of the CNN: accuracy and time": "The CNN beside it",
    "output of the ANN: training accuracy": "The CNN beside it",
    "input 1: accuracy and time by percentage": "Accuracy and time by percentage",
    "line graph of accuracies": "Accuracy and time by percentage",
    "input 2: 50% of the neurons": "Second input",
    "correlations": "Accuracy and time by percentage",
}
"""Each figure and table of the document, and the section that answers it."""

SETTINGS = {
    "framework, machine": ("Keras on an unknown laptop", "Flax NNX, see `versions` in `models/*/model.json`"),
    "optimizer": ("Adam, rate 0.001, epsilon 1e-7 (Keras's defaults)", "the same, epsilon 1e-8"),
    "batch; epochs": ("32 (Keras's default); 5, and 2 for the CNN (its code says 1, its output 2)", "the same"),
    "pixels": ("0 to 1", "the same"),
    "initial weights": ("Glorot uniform", "He normal; the last layer a tenth of its variance"),
    "seed": ("none", "0, and 1 for the second network"),
    "last, smaller batch of an epoch": ("used", "left out: 24 of 55,000 images of the CNN, none else"),
    "the CNN's weights": ("those of the better validation loss: the 2nd epoch", "those of the 2nd epoch"),
    "weight pruning": (
        "smallest of all weights of the 4 hidden kernels together (listing; the text: of a matrix)",
        "the same; the last layer and biases stay",
    ),
    "neuron pruning": (
        "columns by L2 norm, each layer alone; the listing leaves the bias (text: deletes the neuron)",
        "the neuron is cut out with its bias; the listing's ways stand beside it",
    ),
    "pruned one after the other": (
        "each percentage from the network of the one before",
        "each from the base; the same where percentages rise, as they do",
    ),
    "time": (
        "pruning in Python loops and testing, by the clock",
        "the same two, in processor seconds without compilation",
    ),
}


def write_page(out: Path, measured: Mapping[str, Any], quick: bool) -> Path:
    """Write ``page.md`` and its figures into ``out``; the path of the page.

    Args:
        out: the folder.
        measured: see :func:`experiments.studies.reproductions.weight_and_neuron_pruning.run`.
        quick: whether the images are digits.
    """
    return Page(
        title="A dense network without its smallest weights or neurons",
        document="Muppalla and Kumar: Optimized Neural Network for Image Classification Using Pruning "
        "Techniques.",
        command="evoprune reproduce weight-and-neuron-pruning OUT_DIR "
        + ("--quick" if quick else "--data-dir FOLDER"),
        settings=SETTINGS,
        checklist=CHECKLIST,
        sections=(_curves(measured), _listing(measured), _networks(measured), _second(measured)),
    ).write(out)


def _percent(accuracy: float) -> str:
    return f"{100 * accuracy:.2f}"


def _curves(measured: Mapping[str, Any]) -> Section:
    weights, neurons = measured["curves"]["weights"], measured["curves"]["neurons"]
    table = [
        (
            "percent",
            "weights: document, %",
            "here, %",
            "neurons: document, %",
            "here, %",
            "weights: document, s",
            "here, s",
            "neurons: document, s",
            "here, s",
            "parameters left without the neurons",
        )
    ]
    for ours, cut in zip(weights, neurons, strict=True):
        theirs = THEIRS[ours["percent"]]
        table.append(
            (
                str(ours["percent"]),
                _percent(theirs[0]),
                _percent(ours["accuracy"]),
                _percent(theirs[2]),
                _percent(cut["accuracy"]),
                f"{theirs[1]:.2f}",
                f"{ours['seconds']:.2f}",
                f"{theirs[3]:.2f}",
                f"{cut['seconds']:.2f}",
                f"{cut['parameters']:,}",
            )
        )
    found = measured["correlations"]
    percents = [row["percent"] for row in weights]
    figure = line_figure(
        {
            "weights": (percents, [100 * row["accuracy"] for row in weights]),
            "neurons": (percents, [100 * row["accuracy"] for row in neurons]),
            "weights, document": (percents, [100 * THEIRS[percent][0] for percent in percents]),
            "neurons, document": (percents, [100 * THEIRS[percent][2] for percent in percents]),
        },
        title="Accuracy without the smallest weights or neurons",
        subtitle="dense network 784-1000-1000-500-200-10, not retrained",
        places="removed (%)",
        values="test accuracy (%)",
        marked=True,
    )
    return Section(
        "Accuracy and time by percentage",
        (
            f"Correlation of the percentage with the accuracy: by weights {found['weights']:.3f} (document: "
            f"-0.58636; its own table gives -0.596), by neurons {found['neurons']:.3f} (document: -0.82998; its "
            "own table gives -0.843).",
            "The document says that 25% and 50% fewer weights make it better than the original, and that neurons "
            "start to matter at 50%. Its output says otherwise: 87.17 and 87.10 after 87.20, and 86.62 without "
            "60% of the neurons.",
            "A weight set to zero saves no time; a neuron cut out does, and the parameters with it.",
        ),
        table,
        figure,
        "Test accuracy against the share of weights or neurons removed, ours and the document's",
    )


def _listing(measured: Mapping[str, Any]) -> Section:
    names = ("neurons", "bias_kept", "as_printed")
    heads = ("percent", "neuron cut out, %", "bias left, %", "as printed, %", "document, %")
    table: list[tuple[str, ...]] = [heads]
    for rows in zip(*(measured["curves"][name] for name in names), strict=True):
        percent = rows[0]["percent"]
        accuracies = (*(row["accuracy"] for row in rows), THEIRS[percent][2])
        table.append((str(percent), *map(_percent, accuracies)))
    percents = [row["percent"] for row in measured["curves"]["neurons"]]
    curves = {
        label: (percents, [100 * row["accuracy"] for row in measured["curves"][name]])
        for label, name in zip(("cut out", "bias left", "as printed"), names, strict=True)
    }
    figure = line_figure(
        {**curves, "document": (percents, [100 * THEIRS[percent][2] for percent in percents])},
        title="Neuron pruning, as the text and as the listing has it",
        subtitle="each layer without the same share of its neurons",
        places="neurons removed (%)",
        values="test accuracy (%)",
        marked=True,
    )
    return Section(
        "What the listing does to neurons",
        (
            "The listing sets a neuron's incoming weights to zero and leaves its bias: the neuron goes on to "
            "answer ReLU(bias).",
            "Indented as the document prints it, the listing also removes neurons inside the loop that measures "
            "them. Norms of later layers are then still 0, so these layers lose the neurons that stand first "
            "rather than the smallest; as their norms are 0 afterwards, the right ranking comes too late. The "
            "indentation may have suffered in print; both readings are here.",
        ),
        table,
        figure,
        "Test accuracy by three ways to remove neurons, and the document's",
    )


def _networks(measured: Mapping[str, Any]) -> Section:
    dense, cnn = measured["dense"], measured["cnn"]
    half = next(row for row in measured["curves"]["neurons"] if row["percent"] == 50)
    rows = [
        ("", "dense", "dense, 50% of neurons", "CNN"),
        ("test accuracy, document, %", "87.20", "87.48", "87.99"),
        ("test accuracy, here, %", *(_percent(row["accuracy"]) for row in (dense, half, cnn))),
        ("validation accuracy, document, %", "", "", "89.22"),
        ("validation accuracy, here, %", "", "", _percent(measured["cnn_validation"])),
        ("training, document, s", "388", "", "293 (302 with testing)"),
        ("training, here, s", f"{dense['seconds']:.0f}", "", f"{cnn['seconds']:.0f}"),
        (
            "training, here, processor s",
            f"{dense['processor_seconds']:.0f}",
            "",
            f"{cnn['processor_seconds']:.0f}",
        ),
        ("testing, here, processor s", *(f"{row['test_seconds']:.2f}" for row in (dense, half, cnn))),
        ("parameters", *(f"{row['parameters']:,}" for row in (dense, half, cnn))),
    ]
    return Section(
        "The CNN beside it",
        (
            "The document compares 302 s for training the CNN with 10 s for pruning the dense network, and "
            "leaves out that the dense network was trained for 388 s.",
        ),
        rows,
    )


def _second(measured: Mapping[str, Any]) -> Section:
    again, pruned = measured["again"], measured["again_pruned"]
    return Section(
        "Second input: another training, 50% of the neurons",
        table=[
            ("", "document", "here"),
            ("base, %", "86.22", _percent(again["accuracy"])),
            ("without 50% of its neurons, %", "86.65", _percent(pruned["accuracy"])),
            ("pruning and testing, s", "9.54", f"{pruned['seconds']:.2f}"),
        ],
    )
