"""ResNet-20 on CIFAR-10, pruned by Taylor scores and fine-tuned in turn until 25% of its filters are gone.

Almarashi 2024, "Pruning Image Classification CNN Network Using Taylor Scores for High-Speed Inference".

    evoprune reproduce taylor-resnet20 OUT_DIR --data-dir FOLDER [--model RESNET20_DIR]

FOLDER has CIFAR-10. The run takes 40 minutes on one core with a given network, and some 3 hours where it
first trains one for 10 epochs; an interrupted run continues after the last epoch or cycle. Expect the
document's result: each removal lowers the accuracy, fine-tuning regains most of it, and 25% fewer filters
cost a few points (document: 90.5 -> 88.1; docs/reproductions/taylor-resnet20: 88.9 -> 85.3). That original
network is worse than the document's, because it is trained for fewer epochs.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.baselines.steps import Steps
from experiments.benchmarks.speed.speed_comparison import compare_speed
from experiments.data import datasets
from experiments.data.datasets import ImageSet
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from experiments.progress import Reporter
from experiments.studies.reproductions.common.bases import adopt, load_given
from experiments.studies.reproductions.common.epochs import train_by_epochs
from experiments.studies.reproductions.taylor_resnet20_page import write_page
from experiments.training.prune_finetune import PruneFinetuneOptions
from experiments.training.prune_finetune_run import JOURNAL, prune_finetune
from fitness.evaluation.evaluator import LocalEvaluator
from fitness.genome import Genome
from fitness.importance import IMPORTANCES, Subject
from fitness.seeding.ranking import remove_least
from models import model_directory
from models.model_directory import Model
from models.networks.registry import NETWORKS
from models.normalisation import Normalisation
from models.training.settings import TrainingSettings

SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Shares of the filters that are removed at once, without fine-tuning, in the sensitivity analysis."""


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        epochs: of training the original network.
        step: filters that go in a cycle, until a quarter is gone.
        cycle_images: training images that a cycle ranks filters by and is fine-tuned on, for one epoch.
        width: of the network, 1 for the document's.
        image_size: height and width of the images; None leaves the images as they are.
        network: a name of :data:`models.networks.registry.NETWORKS`.
        rounds: of the speed measurement.
        augmentation: of all training; digits must not be mirrored.
    """

    data: str
    epochs: int
    step: int
    cycle_images: int
    width: float = 1.0
    image_size: int | None = None
    network: str = "resnet20"
    rounds: int = 10
    augmentation: str = "crop-flip"


FULL = Plan("cifar10", epochs=10, step=16, cycle_images=10_000)
QUICK = Plan(
    "digits", epochs=8, step=14, cycle_images=256, width=0.25, image_size=16, rounds=2, augmentation="crop"
)
BASE = TrainingSettings(learning_rate=0.1, warmup_epochs=0.5, weight_decay=1e-4, clip_norm=0.0)
FINE_TUNING = TrainingSettings(epochs=1, learning_rate=0.01, warmup_epochs=0.0, weight_decay=1e-4, clip_norm=0.0)


def run(
    out: Path, *, plan: Plan, data_dir: str | None, reporter: Reporter, model: Path | None = None
) -> dict[str, Any]:
    """See :mod:`experiments.studies.reproductions`; ``model``: directory of a trained network, or None."""
    given = None if model is None else load_given("model", model, plan.network)
    digest = None if given is None else given.digest()
    steps = Steps(out, {"experiment": "taylor-resnet20", "plan": asdict(plan), "model": digest})
    if given is None:
        base, epochs = _train(steps, plan, data_dir, reporter)
    else:
        base, epochs = out / "models" / "given", []
        adopt(given, base)
    data = DataOptions(plan.data, data_dir, images=plan.cycle_images)

    def cycles(name: str, step: float, epochs_per_cycle: int) -> list[dict[str, Any]]:
        training = replace(FINE_TUNING, epochs=epochs_per_cycle, augmentation=plan.augmentation)
        options = PruneFinetuneOptions(data, "taylor", remove=0.25, step=step, training=training)

        def work() -> Any:
            prune_finetune(base, out / name, options, reporter=reporter)
            return [json.loads(line) for line in (out / name / JOURNAL).read_text().splitlines()]

        return steps.once(name, work)

    rows = cycles("cycles", plan.step, 1)
    measured = {
        "epochs": epochs,
        "cycles": rows,
        # A single removal with the same number of epochs of fine-tuning.
        "at_once": cycles("at-once", 0.25, len(rows) - 1),
        "thresholds": steps.once("thresholds", lambda: _thresholds(base, data)),
        "speed": steps.once(
            "speed", lambda: compare_speed(base, out / "cycles" / "model", rounds=plan.rounds, reporter=reporter)
        ),
    }
    page = write_page(out, measured, asdict(plan), quick=plan != FULL)
    first, last = rows[0], rows[-1]
    return {
        "page": str(page),
        "base_accuracy": first["accuracy"]["test"],
        "accuracy": last["accuracy"]["test"],
        "filters": [first["filters"], last["filters"]],
        "parameters": [first["parameters"], last["parameters"]],
        "macs": [first["macs"], last["macs"]],
        "time_ratios": {
            f"{timing['runtime']}, batch {timing['batch']}": timing["time_ratio"]
            for timing in measured["speed"]["timings"]
        },
    }


def _train(
    steps: Steps, plan: Plan, data_dir: str | None, reporter: Reporter
) -> tuple[Path, list[dict[str, Any]]]:
    """The original network, trained on all training images."""

    def read(split: str) -> ImageSet:
        return datasets.load(plan.data, split, data_dir=data_dir, image_size=plan.image_size)

    def start() -> Model:
        images = read("train")
        architecture = NETWORKS[plan.network](
            width_multiplier=plan.width, classes=len(images.classes), input_shape=images.images.shape[1:]
        )
        normalisation = Normalisation.of_images(images.images)
        notes = {"data": {"source": images.source, "split": "train", "images": len(images)}}
        return Model(architecture.build(0), normalisation, images.classes, notes)

    settings = replace(BASE, epochs=plan.epochs, augmentation=plan.augmentation)
    return train_by_epochs(steps, "base", start, lambda: (read("train"), read("test")), settings, reporter)


def _thresholds(base: Path, data: DataOptions) -> list[dict[str, Any]]:
    """Test accuracy with each of :data:`SHARES` removed at once, by the ranking of the unpruned network."""
    model = model_directory.load(base)
    genome = Genome.of(model.network)
    images = load_images(data, model)
    scores = IMPORTANCES["taylor"](Subject(model, genome.layout, images.images, images.labels))
    counts = [round(share * genome.layout.n_filters) for share in SHARES]
    masks = np.stack([remove_least(scores, genome.layout, count) for count in (0, *counts)])
    test = load_images(DataOptions(data.data, data.data_dir, "test"), model)
    with LocalEvaluator(model, genome.layout, test.images, test.labels) as evaluator:
        correct = evaluator.evaluate(masks).tolist()
    cost = genome(masks)
    return [
        _threshold_row(share, mask, scores, hits / len(test), int(parameters))
        for share, mask, hits, parameters in zip((0.0, *SHARES), masks, correct, cost.parameters, strict=True)
    ]


def _threshold_row(
    share: float, mask: np.ndarray, scores: np.ndarray, accuracy: float, parameters: int
) -> dict[str, Any]:
    """``score``: the highest of a filter that is removed, the threshold on Taylor scores; None without."""
    score = float(scores[~mask].max()) if not mask.all() else None
    return {"share": share, "score": score, "accuracy": accuracy, "parameters": parameters}
