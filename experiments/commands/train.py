"""``evoprune train``: train a network."""

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


@click.command(epilog="Example: evoprune train small --model vgg16 --width-multiplier 0.25 --data cifar10")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@config_option
@click.option("--model", default="vgg16", show_default=True, help="Network; see 'evoprune models'.")
@model_class_option(exposed=True)
@click.option("--width-multiplier", type=float, default=1.0, show_default=True, help="Scales every width.")
@click.option("--batch-norm/--no-batch-norm", default=False, show_default=True, help="Batch norm or none.")
@data_options("train")
@click.option("--image-size", type=click.IntRange(min=1), help="Resize images to this height and width.")
@click.option("--epochs", type=int, default=12, show_default=True, help="Passes over the data.")
@click.option("--batch-size", type=int, default=128, show_default=True, help="Images in a step.")
@click.option("--optimizer", default="sgd", show_default=True, help="sgd (Nesterov momentum) or adamw.")
@click.option("--learning-rate", type=float, default=0.05, show_default=True, help="Peak; 0.001 suits adamw.")
@click.option("--warmup-epochs", type=float, default=1.0, show_default=True, help="Before cosine decay.")
@click.option("--weight-decay", type=float, default=5e-4, show_default=True, help="On kernels only.")
@click.option("--clip-norm", type=float, default=1.0, show_default=True, help="Largest gradient norm.")
@click.option("--augmentation", default="crop-flip", show_default=True, help="none, crop or crop-flip.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything random.")
@json_option
def train(model_dir: Path, as_json: bool, **options: Any) -> None:
    """Train a network and write it to MODEL_DIR."""
    from experiments.measuring import DataOptions
    from experiments.training_run import NetworkOptions, train_model
    from models.training import TrainingSettings

    network = NetworkOptions(**taken(options, "model", "width_multiplier", "batch_norm", "model_class"))
    data = DataOptions(seed=options["seed"], **taken(options, "data", "data_dir", "split", "images"))
    image_size = options.pop("image_size")
    with interruptible("nothing was written; start again when you like.") as terminal:
        result = train_model(
            model_dir, network, data, TrainingSettings(**options), image_size=image_size, reporter=terminal
        )
    print_result(result, as_json, [accuracy_line(result), f"written to {model_dir}"])
