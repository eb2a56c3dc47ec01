"""A long training with one epoch a step, so that a kill costs one epoch at most."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.baselines.steps import Steps
from experiments.data.datasets import ImageSet
from experiments.measurement.measuring import measure
from experiments.progress import Reporter
from models import model_directory
from models.model_directory import Model
from models.training.loop import Progress, train
from models.training.settings import TrainingSettings


def train_by_epochs(
    steps: Steps,
    name: str,
    start: Callable[[], Model],
    images: Callable[[], tuple[ImageSet, ImageSet]],
    settings: TrainingSettings,
    reporter: Reporter,
) -> tuple[Path, list[dict[str, Any]]]:
    """Train for ``settings.epochs``, or continue after the last finished epoch.

    The rate follows ``settings.schedule`` from epoch to epoch and is constant within one; only the first has
    the warm-up, of half an epoch at most. Momentum begins anew with each epoch.

    Args:
        steps: of the experiment; the model of the last epoch is kept in its folder, in ``models/NAME``.
        name: of the training.
        start: makes the untrained model.
        images: reads those to train on and those to test on; called only if there is something to do.
        settings: epoch n has ``seed + n``.
        reporter: receives training steps.

    Returns:
        The directory of the trained model and a row for each epoch: ``epoch``, ``learning_rate``,
        ``train_accuracy`` (0 to 1, on the augmented images, while the weights change) and ``accuracy`` (0 to
        1, on all test images).

    Raises:
        TrainingError: the loss is no longer finite.
    """
    folder = steps.folder / "models" / name
    rows: list[dict[str, Any]] = []
    loaded: list[tuple[ImageSet, ImageSet]] = []
    for epoch in range(1, settings.epochs + 1):
        before, after = folder / str(epoch - 1), folder / str(epoch)

        def work(epoch: int = epoch, before: Path = before, after: Path = after) -> Any:
            # The process may be killed between writing the model and writing the step.
            if not after.exists():
                loaded[:] = loaded or [images()]
                model = start() if epoch == 1 else model_directory.load(before)
                model.notes["epoch"] = _train_epoch(model, epoch, *loaded[0], settings, reporter)
                model_directory.save(after, model)
            return model_directory.load(after).notes["epoch"]

        rows.append(steps.once(f"{name}-{epoch}", work))
        if before.exists():
            shutil.rmtree(before)
    return folder / str(settings.epochs), rows


def _train_epoch(
    model: Model, epoch: int, images: ImageSet, test: ImageSet, settings: TrainingSettings, reporter: Reporter
) -> dict[str, Any]:
    done = (epoch - 1) / settings.epochs
    decay = (1 + math.cos(math.pi * done)) / 2 if settings.schedule == "cosine" else 1.0
    alone = replace(
        settings,
        epochs=1,
        learning_rate=settings.learning_rate * decay,
        schedule="constant",
        warmup_epochs=settings.warmup_epochs if epoch == 1 else 0.0,
        seed=settings.seed + epoch,
    )
    last: list[Progress] = []

    def watch(progress: Progress) -> None:
        last[:] = [progress]
        reporter.training(progress._replace(epoch=epoch, epochs=settings.epochs))

    train(model.network, model.normalisation, images.images, images.labels, alone, watch)
    return {
        "epoch": epoch,
        "learning_rate": alone.learning_rate,
        "train_accuracy": last[0].accuracy,
        "accuracy": measure(model, test).accuracy,
    }
