"""``evoprune prune-finetune``: remove filters and fine-tune, in turn."""

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
from experiments.training_options import training_options


@click.command(
    name="prune-finetune",
    epilog="Example: evoprune prune-finetune small cycles --method random --remove 0.25 --data cifar10",
)
@click.argument("model_dir", type=MODEL_DIRECTORY)
@click.argument("out_dir", type=MODEL_DIRECTORY)
@config_option
@model_class_option()
@click.option(
    "--method", required=True, help="Importance that ranks the filters; a name that is not known lists them."
)
@click.option(
    "--remove", type=float, default=0.25, show_default=True, help="Share of the filters to be gone in the end."
)
@click.option(
    "--step",
    type=float,
    default=0.05,
    show_default=True,
    help="Filters removed in a cycle: a whole number, or below 1 their share of the model's filters.",
)
@click.option(
    "--epochs-per-step",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Fine-tuning after each removal; 0 is none.",
)
@click.option("--prune", default="convolutions", show_default=True, help="Filters: convolutions or all.")
@data_options("train")
@training_options(learning_rate=0.01, warmup_epochs=0.0)
@json_option
def prune_finetune(model_dir: Path, out_dir: Path, as_json: bool, epochs_per_step: int, **options: Any) -> None:
    """Rank the filters of MODEL_DIR, remove the least important, fine-tune, and again, until enough are gone.

    OUT_DIR gets the smaller model directory OUT_DIR/model, and a line a cycle in OUT_DIR/journal.jsonl. After
    an interruption the same command continues.
    """
    from experiments.measuring import DataOptions
    from experiments.prune_finetune import PruneFinetuneOptions
    from experiments.prune_finetune_run import prune_finetune as run
    from models.training_settings import TrainingSettings

    data = DataOptions(seed=options["seed"], **taken(options, "data", "data_dir", "split", "images"))
    seed = options["seed"]
    cycles = taken(options, "method", "remove", "step", "prune")
    # Checked in any case: a wrong option is wrong with 0 epochs too.
    settings = TrainingSettings(epochs=max(1, epochs_per_step), **options)
    training = settings if epochs_per_step > 0 else None
    chosen = PruneFinetuneOptions(data=data, training=training, seed=seed, **cycles)
    with interruptible("run the same command again to go on.") as terminal:
        result = run(model_dir, out_dir, chosen, reporter=terminal)
    lines = [
        f"{result['removed_filters']:,} filters removed in {result['cycles']} cycles, {result['filters']:,} left",
        f"{result['parameters']:,} parameters ({result['parameter_drop']:.2f}% drop), "
        f"{result['macs']:,} MACs ({result['mac_drop']:.2f}% drop)",
        *(
            f"{split} accuracy {100 * result['original_accuracy'][split]:.2f}% -> {100 * accuracy:.2f}%"
            for split, accuracy in result["accuracy"].items()
        ),
        f"written to {result['model']}",
    ]
    print_result(result, as_json, lines)
