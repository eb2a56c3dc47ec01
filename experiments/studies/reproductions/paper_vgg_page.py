"""The page of the thesis's experiment: Tables 4.1 and 4.2 and Figures 4.1 to 4.6, the document's next to ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from experiments.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILION,
    generation_axis,
    legend,
    new_figure,
)
from experiments.studies.reproductions.common.page import Page, Section

CHECKLIST = {
    "figure 3.1: cycle of the algorithm": "none: docs/algorithm.md has its steps",
    "algorithms 1 and 2": "none: docs/algorithm.md has them step by step, with the differences",
    "table 3.1: parameters": "Settings",
    "figures 4.1 to 4.3: VGG-16": "Figure 4.1, Figure 4.2, Figure 4.3",
    "table 4.1: VGG-16": "VGG-16 on CIFAR-10",
    "figures 4.4 to 4.6: VGG-19": "Figure 4.4, Figure 4.5, Figure 4.6",
    "table 4.2: VGG-19": "VGG-19 on SVHN",
    "initial population, pairs of parents (not said)": "Other readings, and other searches",
    "threshold 0 (no figure)": "VGG-16 on CIFAR-10, VGG-19 on SVHN; the curves beside those of 2%",
}
"""Each figure and table of the document, and the section that answers it."""

LINES = (
    (BLUE, "-"),
    (INK, (0, (2, 1.5))),
    (INK, (0, (5, 2))),
    (GREY, "-"),
    (GREEN, (0, (5, 2))),
    (VERMILION, "-"),
)
"""Colour and dashes of the variants."""

DOCUMENT = "A thesis on removing filters of CNNs with a genetic algorithm, without retraining."


@dataclass(frozen=True)
class Reported:
    """What the document says of a network: pairs are of the base and the pruned network, accuracies percent.

    ``of``: what the pairs were measured on, where that is not ``title``, and the document has no table or figure.
    """

    title: str
    accuracy: tuple[float, float]
    parameters: tuple[int, int]
    macs: tuple[int, int]
    table: str = ""
    figures: tuple[str, ...] = ()
    of: str = ""


CIFAR = Reported(
    title="VGG-16 on CIFAR-10",
    accuracy=(86.87, 85.24),
    parameters=(15_245_130, 9_326_336),
    macs=(313_725_952, 252_446_852),
    table="4.1",
    figures=("4.1", "4.2", "4.3"),
)
SVHN = Reported(
    title="VGG-19 on SVHN",
    accuracy=(92.43, 91.418),
    parameters=(20_554_826, 16_235_999),
    macs=(398_660_608, 349_536_612),
    table="4.2",
    figures=("4.4", "4.5", "4.6"),
)
DEEPER = replace(SVHN, title="VGG-19 on CIFAR-10", table="", figures=(), of="SVHN")


@dataclass(frozen=True)
class Found:
    """The result of one search.

    ``network``: name and width; ``source``: of the data, and ``training``, in words; ``images``: that masks were
    evaluated on; ``hours``: of all generations, by the clock; ``best``, ``held_out`` and ``rows``: as in the
    run's status, ``held_out.json`` and journal.
    """

    reported: Reported
    network: str
    source: str
    training: str
    images: int
    base_parameters: int
    base_macs: int
    original_correct: int
    evaluations: int
    hours: float
    best: Mapping[str, Any]
    held_out: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]

    @property
    def generation(self) -> int:
        """The last one."""
        return int(self.rows[-1]["generation"])

    def to_json(self) -> dict[str, Any]:
        """All but the journal."""
        return {
            "network": self.network,
            "images": self.images,
            "original_correct": self.original_correct,
            "generation": self.generation,
            "evaluations": self.evaluations,
            "hours": self.hours,
            "best": dict(self.best),
            "held_out": dict(self.held_out),
        }


def paper_page(
    searched: Mapping[str, Mapping[float, Found]], variants: Mapping[str, Found], *, quick: bool, images: int
) -> Page:
    """The page of the searches made so far: by network and threshold, and by the name of a variant."""
    sections: list[Section] = []
    for by_threshold in searched.values():
        sections += _sections(by_threshold)
    if variants:
        sections.append(_variants(variants))
    most = max(found.generation for by_threshold in searched.values() for found in by_threshold.values())
    given = "--model VGG16_DIR" + (" --vgg19 VGG19_DIR" if len(searched) > len((CIFAR, SVHN)) else "")
    budget = "--quick" if quick else f"{given} --images {images} --generations {most}"
    return Page(
        title="Filters removed without retraining: VGG-16 on CIFAR-10 and VGG-19 on SVHN",
        document=DOCUMENT,
        command=f"evoprune reproduce paper-vgg OUT_DIR {budget}",
        settings=_settings(searched),
        checklist=CHECKLIST,
        sections=sections,
    )


def _sections(by_threshold: Mapping[float, Found]) -> list[Section]:
    """Table and figures of one network."""
    reported = next(iter(by_threshold.values())).reported
    drawn: list[tuple[str, str, float | None]] = [
        # The document draws the training split's accuracy drop and gives in numbers only the test split's.
        ("accuracy_drop", "Accuracy drop of BEST on the fitness images", None),
        ("parameter_drop", "Parameters dropped by BEST", _drop(*reported.parameters)),
        ("mac_drop", "MACs dropped by BEST", _drop(*reported.macs)),
    ]
    if reported.of:
        caption = f"Parameters dropped by BEST over the generations; {reported.title}."
        figure = _figure(by_threshold, "parameter_drop", "Parameters dropped by BEST (%)", None)
        return [Section(reported.title, _paragraphs(by_threshold), _table(by_threshold), figure, caption)]
    sections = [
        Section(f"{reported.title} (Table {reported.table})", _paragraphs(by_threshold), _table(by_threshold))
    ]
    for number, (key, title, theirs) in zip(reported.figures, drawn, strict=True):
        caption = f"{title} over the generations (Figure {number}); {reported.title}."
        figure = _figure(by_threshold, key, f"{title} (%)", theirs)
        sections.append(Section(f"Figure {number}", figure=figure, caption=caption))
    return sections


def _paragraphs(by_threshold: Mapping[float, Found]) -> list[str]:
    said = []
    for threshold, found in by_threshold.items():
        base, left = found.original_correct, found.best["correct"]
        lost = _drop(found.held_out["original_correct"], found.held_out["correct"])
        said.append(
            f"Threshold {threshold:g}%: after {found.generation:,} generations and {found.evaluations:,} masks, "
            f"in {_time(found.hours)}, BEST removes {found.best['removed_filters']:,} of "
            f"{found.best['filters']:,} filters. Of {found.images:,} fitness images it gets {left:,} right and "
            f"the base model {base:,} "
            f"(drop {_drop(base, left):.2f}%); on the {found.held_out['total']:,} held-out images the drop is "
            f"{lost:.2f}%."
        )
    return said


def _table(by_threshold: Mapping[float, Found]) -> list[list[str]]:
    found = list(by_threshold.values())
    reported, first = found[0].reported, found[0]
    document = ", ".join(part for part in ("document", reported.of) if part)
    rows = [["", f"{document}, base", f"{document}, pruned", "here, base"]]
    rows[0] += [f"here, threshold {threshold:g}%" for threshold in by_threshold]

    def row(name: str, form: str, theirs: tuple[float, float], base: float, ours: Sequence[float]) -> None:
        pruned = [f"{value:{form}} ({_drop(base, value):.2f}% drop)" for value in ours]
        document = [f"{theirs[0]:{form}}", f"{theirs[1]:{form}} ({_drop(*theirs):.2f}% drop)"]
        rows.append([name, *document, f"{base:{form}}", *pruned])

    accuracies = [100 * one.held_out["accuracy"] for one in found]
    row("test accuracy, %", ".2f", reported.accuracy, 100 * first.held_out["original_accuracy"], accuracies)
    row("parameters", ",", reported.parameters, first.base_parameters, [one.best["parameters"] for one in found])
    row("MACs (FLOPS)", ",", reported.macs, first.base_macs, [one.best["macs"] for one in found])
    return rows


def _figure(by_threshold: Mapping[float, Found], key: str, label: str, theirs: float | None) -> Figure:
    figure, axes = new_figure(7.2, 4.2)
    last = max(found.generation for found in by_threshold.values())
    for (threshold, found), (colour, dashes) in zip(
        by_threshold.items(), ((BLUE, "-"), (INK, (0, (2, 1.5)))), strict=False
    ):
        axes.plot(
            [row["generation"] for row in found.rows],
            [row["best"][key] for row in found.rows],
            color=colour,
            linestyle=dashes,
            linewidth=1.8,
            drawstyle="steps-post",
            label=f"here, threshold {threshold:g}%",
        )
    if theirs is not None:
        name = f"document's pruned network ({theirs:.2f}%)"
        axes.axhline(theirs, color=VERMILION, linewidth=1.4, linestyle=(0, (5, 3)), label=name)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_ylabel(label, fontsize=10, color=INK)
    generation_axis(axes, [0, last])
    legend(axes)
    return figure


def _variants(variants: Mapping[str, Found]) -> Section:
    """What the thesis leaves open and our presets, on the same images: a table, and the curves over masks."""
    header = ["", "generations", "masks", "parameters, % dropped", "MACs, % dropped", "test accuracy, % drop"]
    rows = [header]
    figure, axes = new_figure(7.2, 4.2)
    for (name, found), (colour, dashes) in zip(variants.items(), LINES, strict=False):
        lost = _drop(found.held_out["original_correct"], found.held_out["correct"])
        drops = [f"{found.best[key]:.2f}" for key in ("parameter_drop", "mac_drop")]
        rows.append([name, f"{found.generation:,}", f"{found.evaluations:,}", *drops, f"{lost:.2f}"])
        masks, dropped = zip(
            *((row["evaluations"], row["best"]["parameter_drop"]) for row in found.rows), strict=True
        )
        axes.plot(
            masks, dropped, color=colour, linestyle=dashes, linewidth=1.8, drawstyle="steps-post", label=name
        )
    # Our presets remove ten times as much.
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("masks evaluated", fontsize=10, color=INK)
    axes.set_ylabel("Parameters dropped by BEST (%)", fontsize=10, color=INK)
    legend(axes, columns=2)
    first = next(iter(variants.values()))
    said = (
        f'{first.reported.title}, threshold 2%, {first.images:,} fitness images. The thesis begins "close to the '
        'original model" and does not say how close, nor which parents cross.'
    )
    caption = f"Parameters dropped by BEST over the masks evaluated; {first.reported.title}."
    return Section("Other readings, and other searches", [said], rows, figure, caption)


def _settings(searched: Mapping[str, Mapping[float, Found]]) -> dict[str, tuple[str, str]]:
    settings = {
        "I, K, P, T (Table 3.1)": ("50, 10, 0.0002, 300", "the same"),
        "threshold": ("2%; 0 is spoken of, without figures", "2% and 0%, both exclusive"),
        "offset and lambda of Algorithm 1": ("10; lambda from 0 to 1", "10; 0.5"),
        "initial population": ("close to the original model", "up to 2% of the filters removed at random"),
        "BEST": ("highest score", "highest score within the threshold, which the score alone does not keep"),
        "filters searched": ("of the convolutions", "of the convolutions; no layer is emptied"),
    }
    for by_threshold in searched.values():
        title = next(iter(by_threshold.values())).reported.title
        for threshold, found in by_threshold.items():
            place = f"{title}, threshold {threshold:g}%"
            settings[f"generations: {place}"] = ("not said", f"{found.generation:,}")
        found = next(iter(by_threshold.values()))
        settings[f"network: {title}"] = ("full width", found.network)
        settings[f"training: {title}"] = ("not said", found.training)
        settings[f"data: {title}"] = ("all of it", found.source)
        settings[f"fitness images: {title}"] = ("the whole training split", f"{found.images:,} of it")
        settings[f"test images: {title}"] = ("the test split", f"{found.held_out['total']:,}")
    return settings


def _time(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


def _drop(original: float, pruned: float) -> float:
    return 100 * (original - pruned) / original
