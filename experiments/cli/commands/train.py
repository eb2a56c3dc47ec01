"""``evoprune train``: train a network."""

from pathlib import Path
from typing import Any

import click
import cloup

from experiments.cli.config import config_option
from experiments.cli.given import Effect, check_effects
from experiments.cli.interruption import interruptible
from experiments.cli.options import built, options_of
from experiments.cli.output import accuracy_line, data_lines, print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import data_options, json_option, model_class_option, sensitivity_option
from experiments.data.options import DataOptions
from experiments.training.network_options import NetworkOptions
from models.training.settings import TrainingSettings


@cloup.command(epilog="Example: evoprune train small --model vgg16 --width-multiplier 0.25 --data cifar10")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@cloup.option_group("Network", options_of(NetworkOptions), model_class_option(exposed=True))
@cloup.option_group(
    "Images",
    data_options(seed=False, matching=False, labels=False),
    cloup.option(
        "--image-size",
        type=int,
        help="Resize images to this height and width. The size that the network is made for if not given.",
    ),
)
@cloup.option_group("Training", options_of(TrainingSettings), sensitivity_option)
@cloup.option_group("Output and input", json_option, config_option)
@click.pass_context
def train(
    context: click.Context,
    model_dir: Path,
    as_json: bool,
    track_sensitivity: bool,
    image_size: int | None,
    **options: Any,
) -> None:
    """Train a network and write it to MODEL_DIR."""
    from experiments.training.train import train_model

    ours = options["model_class"] is None, "with --model-class, which names another network"
    check_effects(context, (Effect(each, *ours) for each in ("model", "width_multiplier", "batch_norm")))
    with interruptible("nothing was written; start again when you like.") as terminal:
        result = train_model(
            model_dir,
            built(NetworkOptions, options),
            built(DataOptions, options),
            built(TrainingSettings, options),
            image_size=image_size,
            sensitivity="karnin" if track_sensitivity else None,
            reporter=terminal,
        )
    print_result(result, as_json, [accuracy_line(result), *data_lines(result), f"written to {model_dir}"])
