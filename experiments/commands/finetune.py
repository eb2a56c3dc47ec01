"""``evoprune finetune``: go on training a model directory."""

from pathlib import Path
from typing import Any

import click

from experiments.cli_options import (
    MODEL_DIRECTORY,
    config_option,
    data_options,
    json_option,
    model_class_option,
    print_result,
    taken,
)
from experiments.commands.interruption import interruptible
from experiments.commands.lines import accuracy_line
from experiments.training_options import sensitivity_option, training_options


@click.command(epilog="Example: evoprune finetune pruned tuned --data cifar10 --epochs 4")
@click.argument("pruned_dir", type=MODEL_DIRECTORY)
@click.argument("out_dir", type=MODEL_DIRECTORY)
@config_option
@model_class_option()
@data_options("train")
@training_options(epochs=4, learning_rate=0.01, warmup_epochs=0.0)
@sensitivity_option
@json_option
def finetune(pruned_dir: Path, out_dir: Path, as_json: bool, track_sensitivity: bool, **options: Any) -> None:
    """Train the model in PRUNED_DIR, pruned or not, from the weights that it has, and write it to OUT_DIR.

    Normalisation and classes stay those of PRUNED_DIR, which is left as it is.
    """
    from experiments.fine_tuning import finetune_model
    from experiments.measuring import DataOptions
    from models.training_settings import TrainingSettings

    data = DataOptions(seed=options["seed"], **taken(options, "data", "data_dir", "split", "images"))
    with interruptible("nothing was written; start again when you like.") as terminal:
        result = finetune_model(
            pruned_dir,
            out_dir,
            data,
            TrainingSettings(**options),
            sensitivity="karnin" if track_sensitivity else None,
            reporter=terminal,
        )
    lines = [
        accuracy_line(result),
        f"{100 * result['accuracy_before']:.2f}% before fine-tuning",
        f"written to {out_dir}",
    ]
    print_result(result, as_json, lines)
