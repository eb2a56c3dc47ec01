"""Trained networks that an experiment begins with, kept in the folder of the experiment."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

from engine.errors import OptionError, RunError
from experiments.baselines.steps import Steps
from experiments.data.datasets import ImageSet
from experiments.environment import versions
from experiments.progress import Reporter
from models import model_directory
from models.contract import Architecture
from models.model_directory import Model
from models.networks.registry import NETWORKS
from models.training.loop import Progress, train
from models.training.sensitivity import SensitivityRule
from models.training.settings import TrainingSettings


class Base(NamedTuple):
    """A trained network.

    Attributes:
        model: with its sensitivities if they were asked for.
        seconds: of training, compilation included.
        processor_seconds: of all threads, without other work of the machine.
        losses: (steps so far, mean loss since the entry before), about every 20 steps.
    """

    model: Model
    seconds: float
    processor_seconds: float
    losses: list[tuple[int, float]]


def train_once(
    steps: Steps,
    name: str,
    start: Callable[[], Model],
    images: ImageSet,
    settings: TrainingSettings,
    reporter: Reporter,
    *,
    sensitivity: SensitivityRule | None = None,
) -> Base:
    """Train a network, or load it from ``models/NAME`` of the experiment's folder where it is already.

    Args:
        steps: of the experiment.
        name: of the network in its folder.
        start: makes the untrained network.
        images: to train on.
        settings: of the training.
        reporter: receives training steps.
        sensitivity: see :func:`models.training.loop.train`.

    Raises:
        StoreError: the network that is there is damaged.
        TrainingError: the loss is no longer finite.
    """
    folder = steps.folder / "models" / name
    if not folder.exists():
        model = start()
        reports: list[Progress] = []

        def watch(progress: Progress) -> None:
            reports.append(progress)
            reporter.training(progress)

        started, processor = perf_counter(), process_time()
        model.sensitivity = train(
            model.network,
            model.normalisation,
            images.images,
            images.labels,
            settings,
            watch,
            sensitivity=sensitivity,
        )
        model.notes = {
            "data": {"source": images.source, "split": images.split, "images": len(images)},
            "training": asdict(settings),
            "seconds": perf_counter() - started,
            "processor_seconds": process_time() - processor,
            "losses": loss_curve(reports),
            "versions": versions(),
        }
        model_directory.save(folder, model)
    model = model_directory.load(folder)
    notes: dict[str, Any] = model.notes
    return Base(
        model, notes["seconds"], notes["processor_seconds"], [(step, loss) for step, loss in notes["losses"]]
    )


def load_given(option: str, source: Path, name: str) -> Model:
    """A given model, if it is the network that the experiment is about; layers may have other widths.

    Args:
        option: that names the model.
        source: directory of the model.
        name: of the network in :data:`models.networks.registry.NETWORKS`.

    Raises:
        OptionError: it is another network.
        StoreError: there is no model, or it is damaged.
    """
    model = model_directory.load(source)
    found = model.network.architecture
    if _outline(found) != _outline(NETWORKS[name]()):
        raise OptionError(
            f"`{option}` {source} is no {name}, which the experiment is about, but another network of the family "
            f"{found.family!r}; give a {name} that 'evoprune train' or 'evoprune import-torch' wrote."
        )
    return model


def _outline(architecture: Architecture) -> tuple[str, dict[str, list[int]]]:
    """The family, and the number of layers in each block where there are blocks."""
    blocks = {
        key: [len(block) for block in value]
        for key, value in architecture.to_json().items()
        if isinstance(value, list) and value and all(isinstance(block, list) for block in value)
    }
    return architecture.family, blocks


def adopt(given: Model, directory: Path) -> None:
    """Copy a model into the experiment, so that the experiment does not depend on a directory elsewhere.

    Raises:
        RunError: the experiment has another model already.
    """
    if not directory.exists():
        model_directory.save(directory, given)
    elif model_directory.load(directory).digest() != given.digest():
        raise RunError(f"{directory} is another model than the given one; name a new directory.")


def loss_curve(reports: list[Progress]) -> list[tuple[int, float]]:
    """The mean loss between reports; each report has the mean over its epoch so far."""
    curve = []
    before, total = 0, 0.0
    for report in reports:
        if report.step <= before:
            before, total = 0, 0.0
        summed = report.loss * report.step
        curve.append(((report.epoch - 1) * report.steps + report.step, (summed - total) / (report.step - before)))
        before, total = report.step, summed
    return curve
