"""``evoprune prune-finetune``: remove filters and fine-tune, in turn."""

from pathlib import Path
from typing import Any

import click
import cloup

from experiments.cli.config import config_option
from experiments.cli.interruption import interruptible
from experiments.cli.options import built, options_of
from experiments.cli.output import data_lines, print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import data_options, json_option, model_class_option
from experiments.data.options import DataOptions
from experiments.training.finetune import FINETUNING
from experiments.training.prune_finetune import PruneFinetuneOptions, cycle_training
from models.training.settings import TrainingSettings


@cloup.command(
    name="prune-finetune",
    epilog="Example: evoprune prune-finetune small cycles --method random --remove 0.25 --data cifar10",
)
@click.argument("model_dir", type=MODEL_DIRECTORY)
@click.argument("out_dir", type=MODEL_DIRECTORY)
@cloup.option_group(
    "Cycles",
    options_of(PruneFinetuneOptions, without=["seed"]),
    options_of(
        TrainingSettings,
        only=["epochs"],
        renamed={"epochs": "epochs_per_step"},
        defaults={"epochs": 1},
        helps={"epochs": "Epochs of fine-tuning after each removal; 0 does not fine-tune."},
    ),
    model_class_option(),
)
@cloup.option_group("Images", data_options(seed=False, labels=False))
@cloup.option_group("Training", options_of(TrainingSettings, without=["epochs"], defaults=FINETUNING))
@cloup.option_group("Output and input", json_option, config_option)
def prune_finetune(model_dir: Path, out_dir: Path, as_json: bool, epochs_per_step: int, **options: Any) -> None:
    """Rank the filters of MODEL_DIR, remove the least important, fine-tune, and repeat until enough are gone.

    OUT_DIR gets the smaller model directory OUT_DIR/model, and a line a cycle in OUT_DIR/journal.jsonl. After
    an interruption the same command continues.
    """
    from experiments.training.prune_finetune_run import prune_finetune as run

    chosen = built(
        PruneFinetuneOptions,
        options,
        data=built(DataOptions, options),
        training=cycle_training(epochs_per_step, options),
    )
    with interruptible("run the same command again to continue.") as terminal:
        result = run(model_dir, out_dir, chosen, reporter=terminal)
    lines = [
        f"{result.removed_filters:,} filters removed in {result.cycles} cycles, {result.filters:,} left",
        f"{result.parameters:,} parameters ({result.parameter_drop:.2f}% drop), "
        f"{result.macs:,} MACs ({result.mac_drop:.2f}% drop)",
        *(
            f"{split} accuracy {100 * result.original_accuracy[split]:.2f}% -> {100 * accuracy:.2f}%"
            for split, accuracy in result.accuracy.items()
        ),
        *data_lines(result),
        f"written to {result.model}",
    ]
    print_result(result, as_json, lines)
