"""From a model directory to the same network trained further: the ``finetune`` command."""

from pathlib import Path
from typing import Any

from experiments.held_out_images import held_out_images
from experiments.measuring import DataOptions, load_images, measure
from experiments.progress import Reporter, Silent
from experiments.training_run import fit
from models import output_directory, store
from models.sensitivity import SensitivityRule
from models.training_settings import TrainingSettings


def finetune_model(
    source: Path,
    directory: Path,
    data: DataOptions,
    settings: TrainingSettings,
    *,
    sensitivity: SensitivityRule | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Train the model in ``source`` from the weights that it has and write it to ``directory``.

    Normalisation and classes are kept. Sensitivities of an earlier training are not: they belong to it.

    Returns:
        As :func:`experiments.training_run.train_model`, with ``accuracy_before`` on the same images as
        ``accuracy``.

    Raises:
        StoreError: ``directory`` is occupied, or ``source`` cannot be read.
        DataError: the data cannot be read, or does not fit the model.
        TrainingError: the loss is no longer finite.
    """
    directory = Path(directory)
    output_directory.check_target(directory)
    model = store.load(source)
    images = load_images(data, model)
    held_out = held_out_images(data, model)
    before = measure(model, images if held_out is None else held_out)
    ancestry = {"model_digest": model.digest(), "accuracy": before["accuracy"], "split": before["split"]}
    if "pruned_from" in model.notes:
        ancestry["pruned_from"] = model.notes["pruned_from"]
    result = fit(model, images, held_out, settings, sensitivity=sensitivity, reporter=reporter or Silent())
    model.notes["finetuned_from"] = ancestry
    store.save(directory, model)
    return {**result, "accuracy_before": before["accuracy"]}
