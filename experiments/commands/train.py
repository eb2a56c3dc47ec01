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
from experiments.effects import Effect, check_effects
from experiments.training_options import sensitivity_option, training_options


@click.command(epilog="Example: evoprune train small --model vgg16 --width-multiplier 0.25 --data cifar10")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@config_option
@click.option("--model", default="vgg16", show_default=True, help="Network, one of 'evoprune models'.")
@model_class_option(exposed=True)
@click.option("--width-multiplier", type=float, default=1.0, show_default=True, help="Scales every width.")
@click.option(
    "--batch-norm/--no-batch-norm", default=None, help="Batch norm or none, which VGGs leave open (none)."
)
@data_options("train")
@click.option(
    "--image-size",
    type=click.IntRange(min=1),
    help="Resize images to this height and width; if not given, to what the network is made for.",
)
@training_options(epochs=12, learning_rate=0.05, warmup_epochs=1.0)
@sensitivity_option
@json_option
@click.pass_context
def train(
    context: click.Context, model_dir: Path, as_json: bool, track_sensitivity: bool, **options: Any
) -> None:
    """Train a network and write it to MODEL_DIR."""
    from experiments.measuring import DataOptions
    from experiments.training_run import NetworkOptions, train_model
    from models.training_settings import TrainingSettings

    ours = options["model_class"] is None, "with --model-class, which names another network"
    check_effects(context, (Effect(each, *ours) for each in ("model", "width_multiplier", "batch_norm")))
    network = NetworkOptions(**taken(options, "model", "width_multiplier", "batch_norm", "model_class"))
    data = DataOptions(seed=options["seed"], **taken(options, "data", "data_dir", "split", "images"))
    image_size = options.pop("image_size")
    with interruptible("nothing was written; start again when you like.") as terminal:
        result = train_model(
            model_dir,
            network,
            data,
            TrainingSettings(**options),
            image_size=image_size,
            sensitivity="karnin" if track_sensitivity else None,
            reporter=terminal,
        )
    print_result(result, as_json, [accuracy_line(result), f"written to {model_dir}"])
