"""The thesis: filters of VGG-16 (CIFAR-10) and VGG-19 (SVHN) removed by a genetic algorithm, without retraining.

Command: ``evoprune reproduce paper-vgg OUT_DIR --model VGG16_DIR --data-dir DATA``, where VGG16_DIR holds a
VGG-16 that was trained on CIFAR-10; without it one is trained first. ``--vgg19 VGG19_DIR`` adds a VGG-19 of
CIFAR-10. ``--images`` (for fitness) and ``--generations`` are the budget; a later call with more generations
continues the searches.

Time, mostly on one core: 5 hours for 900 generations of VGG-16 on 2,000 images, two hours for all else. Expect
(docs/reproductions/paper-vgg) 39.1% fewer parameters by then, an accuracy drop below the threshold on the fitness
images, and a larger one on the test split the fewer fitness images there are.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import OptionError, RunError
from engine.run.directory import DESCRIPTION
from experiments.baselines.steps import Steps
from experiments.data import datasets
from experiments.data.options import DataOptions
from experiments.progress import Reporter
from experiments.runs.held_out import known_held_out
from experiments.runs.options import SearchOptions
from experiments.runs.presets import PAPER, PRESETS
from experiments.runs.saved import SavedRun
from experiments.runs.search import resume_search, start_search
from experiments.runs.watching.status import best_to_json, read_status
from experiments.studies.reproductions.common.bases import adopt, load_given
from experiments.studies.reproductions.paper_vgg_page import CIFAR, DEEPER, SVHN, Found, Reported, paper_page
from experiments.studies.reproductions.svhn import svhn
from experiments.training.network_options import NetworkOptions
from experiments.training.train import train_model
from models import model_directory
from models.cost import network_cost
from models.training.settings import TrainingSettings

THRESHOLDS = (2.0, 0.0)


@dataclass(frozen=True)
class Variant:
    """Another search of VGG-16.

    Attributes:
        values: of fields of SearchOptions and SearchSettings, beside the document's.
        share: of the generations, fewer where a generation has more offspring.
    """

    values: Mapping[str, Any]
    share: float = 1.0


VARIANTS: Mapping[str, Variant] = {
    "as in the thesis": Variant(PRESETS[PAPER]),
    "initial individuals lose 0.1% at most": Variant({"initial_removal": 0.001}),
    "initial individuals lose 5% at most": Variant({"initial_removal": 0.05}),
    # 45 pairs instead of 5.
    "each parent crosses with each": Variant({"pairing": "all"}, share=0.2),
    "preset masks, no finish": Variant({**PRESETS["masks"], "finish": False}),
    "preset quality, no finish": Variant({**PRESETS["quality"], "finish": False}),
}
"""Searches at threshold 2% that stand beside each other: what the thesis leaves open, and what we search by."""

REPORTED = {"vgg16": CIFAR, "vgg19": SVHN}

_GIVEN_VGG19 = "vgg19-cifar10"

SAMPLE_WIDTH = 0.25
"""Width of VGG-19 where only a thousand crops are at hand: they do not train 20 million parameters."""
SAMPLE_TRAINING = TrainingSettings(
    epochs=80, batch_size=32, learning_rate=0.02, warmup_epochs=5, augmentation="crop"
)


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        images: that masks are evaluated on, at most.
        generations: of each search.
        variant_images: that masks of the variants are evaluated on.
        variant_generations: of each variant, or a share of them.
        digits: networks that take the places of VGG-16 and VGG-19, on scikit-learn's digits; None searches the
            document's networks on its data.
        epochs: of training on digits.
    """

    images: int
    generations: int
    variant_images: int
    variant_generations: int
    digits: tuple[NetworkOptions, NetworkOptions] | None = None
    epochs: int = 3


FULL = Plan(images=1000, generations=100, variant_images=500, variant_generations=50)
_NARROW = (NetworkOptions("vgg16", width_multiplier=0.1), NetworkOptions("vgg19", width_multiplier=0.1))
QUICK = Plan(images=100, generations=2, variant_images=100, variant_generations=2, digits=_NARROW)


@dataclass(frozen=True)
class Subject:
    """A network of the document and its stand-in here; ``source``: the data in words."""

    key: str
    reported: Reported
    network: NetworkOptions
    training: TrainingSettings
    data: DataOptions
    source: str


def run(
    out: Path,
    *,
    plan: Plan,
    data_dir: str | None,
    reporter: Reporter,
    model: Path | None = None,
    vgg19: Path | None = None,
    images: int | None = None,
    generations: int | None = None,
) -> dict[str, Any]:
    """Search each network at each threshold, then VGG-16 by the variants; write the page again after each search.

    Args:
        out: directory of the experiment.
        plan: how much of everything.
        data_dir: where CIFAR-10 and SVHN are.
        reporter: receives progress.
        model: directory of a VGG-16 that was trained on CIFAR-10; None: it is trained.
        vgg19: directory of a VGG-19 that was trained on CIFAR-10, which the document lacks; None: without.
        images: that masks are evaluated on, at most; None: those of the plan.
        generations: of each search, unless it has more behind it; None: those of the plan.

    Raises:
        OptionError: too few images or generations, or a given model is another network.
        RunError: ``out`` holds something else, or was begun with another model.
    """
    images = plan.images if images is None else images
    generations = plan.generations if generations is None else generations
    # Before a network is trained for an hour.
    for name, value, least in (("images", images, 1), ("generations", generations, 0)):
        if value < least:
            raise OptionError(f"`{name}` must be at least {least}, not {value}.")
    names = [options.model for options in plan.digits] if plan.digits is not None else list(REPORTED)
    given = None if model is None else load_given("model", model, names[0])
    given19 = None if vgg19 is None else load_given("vgg19", vgg19, names[1])
    quick = plan.digits is not None
    # More generations continue the searches, so the number of generations is no part of the experiment.
    steps = Steps(out, {"experiment": "paper-vgg", "quick": quick, "images": images})
    if given is not None:
        adopt(given, out / "models" / "vgg16")
    if given19 is not None:
        adopt(given19, out / "models" / _GIVEN_VGG19)
    searched: dict[str, dict[float, Found]] = {}
    variants: dict[str, Found] = {}
    subjects = _subjects(steps, plan, data_dir)
    if (out / "models" / _GIVEN_VGG19).exists():
        subjects += (replace(subjects[0], key=_GIVEN_VGG19, reported=DEEPER),)
    for subject in subjects:
        directory = out / "models" / subject.key
        if not directory.exists():
            reporter.message(f"Training {subject.reported.title}.")
            train_model(directory, subject.network, subject.data, subject.training, reporter=reporter)
        for threshold in THRESHOLDS:
            reporter.message(f"Searching {subject.reported.title}, threshold {threshold:g}%.")
            place = out / "runs" / f"{subject.key}-threshold{threshold:g}"
            options = _search_options({}, directory, subject.data, images, generations, threshold)
            searched.setdefault(subject.key, {})[threshold] = _search(subject, place, options, reporter)
            paper_page(searched, variants, quick=quick, images=images).write(out)
    first = subjects[0]
    for number, (name, variant) in enumerate(VARIANTS.items()):
        reporter.message(f"Searching {first.reported.title}: {name}.")
        directory, place = out / "models" / first.key, out / "runs" / f"{first.key}-variant{number}"
        budget = plan.variant_images, math.ceil(variant.share * plan.variant_generations)
        options = _search_options(variant.values, directory, first.data, *budget, THRESHOLDS[0])
        variants[name] = _search(first, place, options, reporter)
        page = paper_page(searched, variants, quick=quick, images=images).write(out)
    return {
        "networks": {
            key: {f"{threshold:g}": found.to_json() for threshold, found in by_threshold.items()}
            for key, by_threshold in searched.items()
        },
        "variants": {name: found.to_json() for name, found in variants.items()},
        "page": str(page),
    }


def _subjects(steps: Steps, plan: Plan, data_dir: str | None) -> tuple[Subject, ...]:
    if plan.digits is not None:
        training = TrainingSettings(epochs=plan.epochs, batch_size=64, augmentation="none")
        digits = DataOptions("digits")
        return tuple(
            Subject(key, reported, network, training, digits, "scikit-learn's digits")
            for (key, reported), network in zip(REPORTED.items(), plan.digits, strict=True)
        )
    found, whole = svhn(steps.folder / "data", data_dir)
    width, training = (1.0, TrainingSettings(augmentation="crop")) if whole else (SAMPLE_WIDTH, SAMPLE_TRAINING)
    source = "SVHN" if whole else "the training crops at hand, the last fifth of them held out"
    cifar = DataOptions("cifar10", data_dir)
    wide = NetworkOptions("vgg16")
    return (
        Subject("vgg16", CIFAR, wide, TrainingSettings(16), cifar, "CIFAR-10"),
        Subject("vgg19", SVHN, NetworkOptions("vgg19", width_multiplier=width), training, found, source),
    )


def _search_options(
    values: Mapping[str, Any],
    model: Path,
    data: DataOptions,
    images: int,
    generations: int,
    threshold: float,
) -> SearchOptions:
    """The document's settings, which are the defaults, but for some values; on at most so many images."""
    there = datasets.size(data.data, "train", data_dir=data.data_dir)
    chosen = replace(data, images=min(images, there))
    return SearchOptions.of_values(str(model), chosen, values, generations=generations, threshold=threshold)


def _search(subject: Subject, place: Path, options: SearchOptions, reporter: Reporter) -> Found:
    """The result of a search, which is started or continued."""
    if not (place / DESCRIPTION).is_file():
        start_search(place, options, reporter=reporter)
    else:
        reached = read_status(place).generation or 0
        _, colon, path = options.data.data.partition(":")
        resume_search(
            place,
            generations=max(options.generations, reached),
            model=options.model,
            data_dir=path if colon else options.data.data_dir,
            reporter=reporter,
        )
    return _found(subject, place, options, reporter)


def _found(subject: Subject, place: Path, options: SearchOptions, reporter: Reporter) -> Found:
    """The result of a finished search, from its directory."""
    saved = SavedRun.open(place, reporter=reporter)
    run, state = saved.run, saved.newest.state
    held_out = known_held_out(run.store, state.best.individual.mask)
    if held_out is None:
        raise RunError(f"{place} has no accuracy on the test split, which could not be read; run it again.")
    model = model_directory.load(Path(options.model))
    network = model.network
    parameters, macs = network_cost(network)
    training = model.notes.get("training")
    return Found(
        reported=subject.reported,
        network=f"{network.architecture.name}, {state.best.individual.mask.size:,} filters",
        source=subject.source,
        training="not known" if training is None else f"{training['epochs']} epochs",
        images=saved.description["images"],
        base_parameters=parameters,
        base_macs=macs,
        original_correct=state.original_correct,
        evaluations=state.evaluations,
        hours=sum(row["seconds"] for row in run.timings() if row["generation"] <= state.generation) / 3600,
        best=best_to_json(state),
        held_out=held_out.to_json(),
        rows=[row for row in run.journal() if row["generation"] <= state.generation],
    )
