"""LeNet-5: the 84 units of its sixth layer are merged into their most similar units and pruned, one at a time.

Asaraf Ali, "A study of effect of pruning in a fully connected layer of a CNN architecture used for
classification".

    evoprune reproduce merged-neurons OUT_DIR --data-dir FOLDER

FOLDER has VehicleX in ``vehiclex``, or the cars that stand in for it in ``vehicle-body``. The run takes 25 to 30
minutes of processor time on 2 cores beside other work; an interrupted run continues after the last ten epochs or
the last unit. Expect a test accuracy of 38% on the cars, and 35 to 39% until 70 of 84 units are gone, with
retraining; without retraining, 33% after 10 units that are merged, and 28% by the document's rule. The document's
57% is on other images.

See docs/reproductions/merged-neurons/page.md.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from engine.layout import Layout
from experiments.baselines.steps import Steps
from experiments.data.datasets import ImageSet
from experiments.progress import Reporter
from experiments.studies.masked_training import MaskedTrainer
from experiments.studies.merging import merge_incoming, merge_outgoing
from experiments.studies.reproductions.merged_neurons_data import read_splits
from experiments.studies.reproductions.merged_neurons_page import flat_to, write_page
from fitness.importance.contract import Subject
from fitness.importance.cosine import closest_twins, grams
from models import model_directory
from models.contract import Network
from models.model_directory import Model
from models.networks.registry import NETWORKS
from models.normalisation import Normalisation
from models.training.settings import TrainingSettings

LAYER = "fc2"
UNITS = 84
RULES = {"merged": "outgoing weights merged", "literal": "the document's rule", "removed": "removed, not merged"}
"""What happens to a unit before it goes."""


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        chunk: epochs of the baseline that a kill may cost; the momentum begins anew with each chunk.
        retraining: epochs after each pruning.
        augmentation: of all training; digits must not be mirrored.
        prunings: number of units that are pruned.
        digits: whether scikit-learn's digits take the place of the vehicles.
    """

    epochs: int
    chunk: int
    retraining: int
    augmentation: str
    prunings: int = UNITS - 1
    digits: bool = False


FULL = Plan(epochs=200, chunk=10, retraining=1, augmentation="flip-rotate-jitter")
QUICK = Plan(epochs=4, chunk=2, retraining=1, augmentation="crop", prunings=8, digits=True)
SETTINGS = TrainingSettings(
    batch_size=16,
    learning_rate=0.01,
    schedule="constant",
    warmup_epochs=0.0,
    momentum=0.9,
    nesterov=False,
    weight_decay=0.0,
    clip_norm=0.0,
)


def run(out: Path, *, plan: Plan, data_dir: str | None, reporter: Reporter) -> dict[str, Any]:
    """See :mod:`experiments.studies.reproductions`."""
    steps = Steps(out, {"experiment": "merged-neurons", "plan": asdict(plan)})
    splits = read_splits(plan.digits, data_dir)
    baseline, curve = _baseline(steps, splits, plan, reporter)
    start = {"pruned": 0, "val": curve[-1]["val"], "test": curve[-1]["test"], "similarity": 1.0}
    series = {}
    for retrained in (True, False):
        for rule in ("merged", "literal") if retrained else tuple(RULES):
            name = f"{rule}-{'retrained' if retrained else 'as-it-is'}"
            series[name] = [start, *_prune_units(steps, name, rule, retrained, baseline, splits, plan, reporter)]
    measured = {"curve": curve, "series": series}
    page = write_page(out, measured, splits, asdict(plan) | {"settings": asdict(SETTINGS)}, quick=plan.digits)
    return {
        "page": str(page),
        "data": splits["train"].source,
        "baseline": {split: curve[-1][split] for split in ("train", "val", "test")},
        "test_accuracy_by_units_pruned": {
            name: {str(row["pruned"]): row["test"] for row in rows} for name, rows in series.items()
        },
        "flat_to": {name: flat_to([row["test"] for row in rows]) for name, rows in series.items()},
    }


def _trainer(model: Model, splits: Mapping[str, ImageSet], plan: Plan, epochs: int) -> MaskedTrainer:
    settings = replace(SETTINGS, epochs=epochs, augmentation=plan.augmentation)
    images = splits["train"]
    return MaskedTrainer(model.network, model.normalisation, images.images, images.labels, settings)


def _untrained(images: ImageSet) -> Model:
    classes = images.classes
    architecture = NETWORKS["lenet5"](classes=len(classes), input_shape=images.images.shape[1:])
    notes = {"data": {"source": images.source, "split": images.split, "images": len(images)}}
    return Model(architecture.build(0), Normalisation.of_images(images.images), classes, notes)


def _accuracies(
    trainer: MaskedTrainer, network: Network, keep: np.ndarray, splits: Mapping[str, ImageSet]
) -> dict[str, float]:
    return {
        name: trainer.accuracy(network, {LAYER: keep}, splits[name].images, splits[name].labels)
        for name in ("val", "test")
    }


def _baseline(
    steps: Steps, splits: Mapping[str, ImageSet], plan: Plan, reporter: Reporter
) -> tuple[Path, list[dict[str, Any]]]:
    """The directory of the unpruned network, and a row for each of its epochs."""
    folder = steps.folder / "models" / "baseline"
    keep = np.ones(UNITS, bool)
    trainers: list[MaskedTrainer] = []

    def work(begin: int) -> Any:
        before, after = folder / str(begin), folder / str(begin + plan.chunk)
        # The process may be killed between writing the model and writing the step.
        if not after.exists():
            model = model_directory.load(before) if begin else _untrained(splits["train"])
            trainers[:] = trainers or [_trainer(model, splits, plan, plan.chunk)]
            rows = []
            for epoch in trainers[0].epochs(model.network, {LAYER: keep}, seed=begin):
                found = _accuracies(trainers[0], model.network, keep, splits)
                rows.append({"epoch": begin + epoch.number, "train": epoch.accuracy, **found})
            reporter.message(f"epoch {rows[-1]['epoch']}: validation accuracy {100 * rows[-1]['val']:.2f}%")
            model.notes["epochs"] = rows
            model_directory.save(after, model)
        return model_directory.load(after).notes["epochs"]

    curve: list[dict[str, Any]] = []
    for begin in range(0, plan.epochs, plan.chunk):
        curve += steps.once(f"baseline-{begin + plan.chunk}", partial(work, begin))
        if (folder / str(begin)).exists():
            rmtree(folder / str(begin))
    return folder / str(plan.epochs), curve


def _prune_units(
    steps: Steps,
    name: str,
    rule: str,
    retrained: bool,
    baseline: Path,
    splits: Mapping[str, ImageSet],
    plan: Plan,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """A row for each pruned unit. With retraining each unit is a step; without, all units are one step."""
    folder = steps.folder / "models" / name
    trainers: list[MaskedTrainer] = []

    def trainer(model: Model) -> MaskedTrainer:
        trainers[:] = trainers or [_trainer(model, splits, plan, plan.retraining)]
        return trainers[0]

    if not retrained:

        def all_units() -> Any:
            model = model_directory.load(baseline)
            rows: list[dict[str, Any]] = []
            for number in range(1, plan.prunings + 1):
                model, row = _prune_unit(model, number, rule, rows, splits)
                rows.append(row | _accuracies(trainer(model), model.network, _kept(row["gone"]), splits))
            return rows

        return steps.once(name, all_units)

    def one_unit(number: int, rows: list[dict[str, Any]]) -> Any:
        before, after = folder / str(number - 1), folder / str(number)
        # The process may be killed between writing the model and writing the step.
        if not after.exists():
            model, row = _prune_unit(
                model_directory.load(before if rows else baseline), number, rule, rows, splits
            )
            keep = _kept(row["gone"])
            for _ in trainer(model).epochs(model.network, {LAYER: keep}, seed=1000 + number):
                pass
            row |= _accuracies(trainer(model), model.network, keep, splits)
            reporter.message(f"{name}, {number} units pruned: test accuracy {100 * row['test']:.2f}%")
            model.notes["row"] = row
            model_directory.save(after, model)
        return model_directory.load(after).notes["row"]

    rows: list[dict[str, Any]] = []
    for number in range(1, plan.prunings + 1):
        rows.append(steps.once(f"{name}-{number}", partial(one_unit, number, rows)))
        if (folder / str(number - 1)).exists():
            rmtree(folder / str(number - 1))
    return rows


def _prune_unit(
    model: Model, number: int, rule: str, rows: list[dict[str, Any]], splits: Mapping[str, ImageSet]
) -> tuple[Model, dict[str, Any]]:
    """Merge the unit that is most similar to another unit into that one, and remove it from the mask."""
    gone = rows[-1]["gone"] if rows else []
    images = splits["train"]
    layout = Layout((LAYER,), (UNITS,))
    # The inner products of all activations; batches as large as the memory easily takes.
    gram = grams(Subject(model, layout, images.images, images.labels), batch=512)[LAYER]
    twins = closest_twins(gram, _kept(gone))
    network = model.network
    if rule == "merged":
        network = merge_outgoing(network, LAYER, twins.removed, twins.twin, twins.scale)
    elif rule == "literal":
        network = merge_incoming(network, LAYER, twins.removed, twins.twin)
    row = {"pruned": number, "gone": [*gone, twins.removed], "similarity": twins.similarity}
    return replace(model, network=network), row


def _kept(gone: list[int]) -> np.ndarray:
    keep = np.ones(UNITS, bool)
    keep[gone] = False
    return keep
