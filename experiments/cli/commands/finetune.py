"""``evoprune finetune``: train a model directory further."""

from pathlib import Path
from typing import Any

import click
import cloup

from experiments.cli.config import config_option
from experiments.cli.interruption import interruptible
from experiments.cli.options import built, options_of
from experiments.cli.output import accuracy_line, data_lines, print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import data_options, json_option, model_class_option, sensitivity_option
from experiments.data.options import DataOptions
from experiments.training.finetune import FINETUNING
from models.training.settings import TrainingSettings


@cloup.command(epilog="Example: evoprune finetune pruned tuned --data cifar10 --epochs 4")
@click.argument("pruned_dir", type=MODEL_DIRECTORY)
@click.argument("out_dir", type=MODEL_DIRECTORY)
@cloup.option_group("Images", data_options(seed=False, labels=False))
@cloup.option_group(
    "Training", options_of(TrainingSettings, defaults=FINETUNING), sensitivity_option, model_class_option()
)
@cloup.option_group("Output and input", json_option, config_option)
def finetune(pruned_dir: Path, out_dir: Path, as_json: bool, track_sensitivity: bool, **options: Any) -> None:
    """Train the model in PRUNED_DIR, pruned or not, from its present weights, and write it to OUT_DIR.

    Normalisation and classes stay those of PRUNED_DIR, which is left as it is.
    """
    from experiments.training.finetune import finetune_model

    with interruptible("nothing was written; start again when you like.") as terminal:
        result = finetune_model(
            pruned_dir,
            out_dir,
            built(DataOptions, options),
            built(TrainingSettings, options),
            sensitivity="karnin" if track_sensitivity else None,
            reporter=terminal,
        )
    lines = [
        accuracy_line(result),
        f"{100 * result.accuracy_before:.2f}% before fine-tuning",
        *data_lines(result),
        f"written to {out_dir}",
    ]
    print_result(result, as_json, lines)
