"""``evoprune info``: describe a model directory."""

from pathlib import Path

import click
import cloup

from experiments.cli.interruption import interruptible
from experiments.cli.output import model_lines, print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import json_option, model_class_option


@cloup.command(epilog="Example: evoprune info pruned")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@model_class_option()
@json_option
def info(model_dir: Path, as_json: bool) -> None:
    """Describe MODEL_DIR: origin, accuracy, parameters, MACs, and its layers with their prunable filters."""
    from experiments.measurement.description import describe_model

    with interruptible("run the command again.") as terminal:
        result = describe_model(model_dir, reporter=terminal)
    print_result(result, as_json, model_lines(result))
