"""Seed 003: filters of VGG-16 on CIFAR-10 and VGG-19 on SVHN removed by a genetic algorithm, without retraining.

Command: ``evoprune reproduce paper-vgg OUT_DIR --model VGG16_DIR --data-dir DATA``, where VGG16_DIR holds a
VGG-16 that was trained on CIFAR-10; without it one is trained first. ``--images`` (for fitness) and
``--generations`` are the budget; a later call with more generations continues the searches.

Time on 2 cores: 31 minutes for 20 generations of all four searches on 500 images, beside another job. Expect
(docs/reproductions/paper-vgg) an accuracy drop below the threshold on the fitness images, and a larger one on the
test split the fewer fitness images there are; after 20 generations 5.7% fewer parameters in VGG-16.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import RunError
from engine.run_directory import DESCRIPTION, RunDirectory
from experiments import datasets
from experiments.held_out import known_held_out
from experiments.measuring import DataOptions
from experiments.progress import Reporter
from experiments.reproductions.paper_vgg_page import CIFAR, SVHN, Found, Reported, paper_page
from experiments.reproductions.svhn import svhn
from experiments.search_options import SearchOptions
from experiments.search_run import resume_search, start_search
from experiments.status import read_status, summary
from experiments.steps import Steps
from experiments.training_run import NetworkOptions, train_model
from models import store
from models.cost import network_cost
from models.training_settings import TrainingSettings

THRESHOLDS = (2.0, 0.0)
GENERATIONS = 100
IMAGES = 1000

SAMPLE_WIDTH = 0.25
"""Of the VGG-19, where there are a thousand crops alone: they do not train 20 million parameters."""
SAMPLE_TRAINING = TrainingSettings(
    epochs=80, batch_size=32, learning_rate=0.02, warmup_epochs=5, augmentation="crop"
)


@dataclass(frozen=True)
class Subject:
    """A network of the document: what it says of it, and what stands for it here; ``source``: data in words."""

    key: str
    reported: Reported
    network: NetworkOptions
    training: TrainingSettings
    data: DataOptions
    source: str


def run(
    out: Path,
    *,
    quick: bool,
    data_dir: str | None,
    reporter: Reporter,
    model: Path | None = None,
    images: int | None = None,
    generations: int | None = None,
) -> dict[str, Any]:
    """Search each network at each threshold, and write the page again after each search.

    Args:
        out: directory of the experiment.
        quick: small networks on digits.
        data_dir: where CIFAR-10 and SVHN are.
        reporter: receives progress.
        model: directory of a VGG-16 that was trained on CIFAR-10; None: it is trained.
        images: that masks are evaluated on, at most; None: 1,000.
        generations: of each search, unless it has more behind it; None: 100.

    Raises:
        RunError: ``out`` holds something else, or was begun with another model.
    """
    images = images or (100 if quick else IMAGES)
    generations = (2 if quick else GENERATIONS) if generations is None else generations
    steps = Steps(out, {"name": "paper-vgg", "quick": quick, "images": images})
    if model is not None:
        adopt(model, out / "models" / "vgg16")
    searched: dict[str, dict[float, Found]] = {}
    page = None
    for subject in _quick_subjects() if quick else _subjects(steps, data_dir):
        directory = out / "models" / subject.key
        if not directory.exists():
            reporter.message(f"Training {subject.reported.title}.")
            train_model(directory, subject.network, subject.data, subject.training, reporter=reporter)
        for threshold in THRESHOLDS:
            reporter.message(f"Searching {subject.reported.title}, threshold {threshold:g}%.")
            place = out / "runs" / f"{subject.key}-threshold{threshold:g}"
            options = _search_options(directory, subject.data, images, generations, threshold)
            _search(place, options, reporter)
            searched.setdefault(subject.key, {})[threshold] = _found(subject, place, options, reporter)
            page = paper_page(searched, quick=quick, images=images).write(out)
    return {
        "networks": {
            key: {f"{threshold:g}": found.to_json() for threshold, found in by_threshold.items()}
            for key, by_threshold in searched.items()
        },
        "page": str(page),
    }


def _subjects(steps: Steps, data_dir: str | None) -> tuple[Subject, ...]:
    found, whole = svhn(steps.folder / "data", data_dir)
    width, training = (1.0, TrainingSettings(augmentation="crop")) if whole else (SAMPLE_WIDTH, SAMPLE_TRAINING)
    source = "SVHN" if whole else "the training crops at hand, the last fifth of them held out"
    cifar = DataOptions("cifar10", data_dir)
    wide = NetworkOptions("vgg16")
    return (
        Subject("vgg16", CIFAR, wide, TrainingSettings(16), cifar, "CIFAR-10"),
        Subject("vgg19", SVHN, NetworkOptions("vgg19", width_multiplier=width), training, found, source),
    )


def _quick_subjects() -> tuple[Subject, ...]:
    training = TrainingSettings(epochs=3, batch_size=64, augmentation="none")
    return tuple(
        Subject(
            key,
            reported,
            NetworkOptions(key, width_multiplier=0.1),
            training,
            DataOptions("digits"),
            "scikit-learn's digits",
        )
        for key, reported in (("vgg16", CIFAR), ("vgg19", SVHN))
    )


def adopt(source: Path, directory: Path) -> None:
    """Copy a model into the experiment, so that its searches do not hang on a directory elsewhere."""
    given = store.load(source)
    if not directory.exists():
        store.save(directory, given)
    elif store.load(directory).digest() != given.digest():
        raise RunError(f"{directory} is another model than --model {source}; name a new directory.")


def _search_options(
    model: Path, data: DataOptions, images: int, generations: int, threshold: float
) -> SearchOptions:
    """The document's settings, which are the defaults, on at most so many images."""
    there = datasets.size(data.data, "train", data_dir=data.data_dir)
    chosen = replace(data, images=min(images, there))
    return SearchOptions(str(model), chosen, generations=generations, threshold=threshold)


def _search(place: Path, options: SearchOptions, reporter: Reporter) -> None:
    if not (place / DESCRIPTION).is_file():
        start_search(place, options, reporter=reporter)
        return
    reached = read_status(place)["generation"] or 0
    _, colon, path = options.data.data.partition(":")
    resume_search(
        place,
        generations=max(options.generations, reached),
        model=options.model,
        data_dir=path if colon else options.data.data_dir,
        reporter=reporter,
    )


def _found(subject: Subject, place: Path, options: SearchOptions, reporter: Reporter) -> Found:
    """What a search that is done found, from its directory."""
    run = RunDirectory.open(place)
    checkpoint = run.latest(reporter.message)
    assert checkpoint is not None
    state = checkpoint.state
    held_out = known_held_out(run.store, state.best.individual.mask)
    if held_out is None:
        raise RunError(f"{place} has no accuracy on the test split, which could not be read; run it again.")
    model = store.load(Path(options.model))
    network = model.network
    parameters, macs = network_cost(network)
    training = model.notes.get("training")
    return Found(
        reported=subject.reported,
        network=f"{network.architecture.name}, width {subject.network.width_multiplier:g}",
        source=subject.source,
        training="not known" if training is None else f"{training['epochs']} epochs",
        images=run.description()["images"],
        base_parameters=parameters,
        base_macs=macs,
        original_correct=state.original_correct,
        evaluations=state.evaluations,
        best=summary(state, options.generations, options.objective)["best"],
        held_out=held_out,
        rows=[row for row in run.journal() if row["generation"] <= state.generation],
    )
