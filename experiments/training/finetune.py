"""From a model directory to the same network trained further: the ``finetune`` command."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.data.loading import held_out_images, load_images, note_resize
from experiments.data.options import DataOptions
from experiments.data.original_answers import check_labelled
from experiments.measurement.measuring import measure, read_model
from experiments.measurement.standing import doubts
from experiments.progress import Reporter, Silent
from experiments.training.train import TrainingResult, fit
from models import model_directory, output_directory
from models.training.sensitivity import SensitivityRule
from models.training.settings import TrainingSettings

FINETUNING: Mapping[str, Any] = {"epochs": 4, "learning_rate": 0.01, "warmup_epochs": 0.0}
"""Usual training settings of a network that has been trained before, where they differ from the defaults."""


@dataclass(frozen=True, kw_only=True)
class FinetuningResult(TrainingResult):
    """A model trained further. ``accuracy_before`` is measured on the same images as ``accuracy``."""

    accuracy_before: float = 0.0


def finetune_model(
    source: Path,
    directory: Path,
    data: DataOptions,
    settings: TrainingSettings,
    *,
    sensitivity: SensitivityRule | None = None,
    reporter: Reporter | None = None,
) -> FinetuningResult:
    """Train the model in ``source`` from its present weights and write it to ``directory``.

    Normalisation and classes are kept. Sensitivities are not: they belong to the training that gathered them.

    Raises:
        StoreError: ``directory`` is occupied, or ``source`` cannot be read.
        DataError: the data cannot be read, or does not fit the model.
        TrainingError: the loss is no longer finite.
    """
    directory, reporter = Path(directory), reporter or Silent()
    check_labelled(data, "fine-tune a network")
    output_directory.check_target(directory)
    model = read_model(source, reporter)
    note_resize(model, data)
    images = load_images(data, model, reporter)
    held_out, remark = held_out_images(data, model, reporter)
    for warning in images.matching.warnings if images.matching else ():
        reporter.message(f"warning: {warning}")
    before = measure(model, images if held_out is None else held_out, reporter=reporter)
    ancestry = {"model_digest": model.digest(), "accuracy": before.accuracy, "split": before.split}
    if "pruned_from" in model.notes:
        ancestry["pruned_from"] = model.notes["pruned_from"]
    result = fit(model, images, held_out, settings, sensitivity=sensitivity, reporter=reporter)
    model.notes["finetuned_from"] = ancestry
    model_directory.save(directory, model)
    warnings = doubts(model, held_out or images, result.correct)
    facts = result.facts.adding(warnings=warnings, remarks=[remark])
    return FinetuningResult(**{**vars(result), "facts": facts}, accuracy_before=before.accuracy)
