"""``evoprune evaluate``: the accuracy of a model directory."""

from pathlib import Path
from typing import Any

import click
import cloup

from experiments.cli.config import config_option
from experiments.cli.interruption import interruptible
from experiments.cli.options import built
from experiments.cli.output import accuracy_line, data_lines, print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import data_options, json_option, model_class_option
from experiments.data.options import DataOptions


@cloup.command(epilog="Example: evoprune evaluate pruned --data cifar10 --split test")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@data_options("test")
@cloup.option(
    "--original",
    type=MODEL_DIRECTORY,
    metavar="DIR",
    help="The unpruned network whose answers are right with --labels original.",
)
@model_class_option()
@config_option
@json_option
def evaluate(model_dir: Path, original: Path | None, as_json: bool, **options: Any) -> None:
    """Measure the accuracy of a model directory, pruned or not."""
    from experiments.measurement.measuring import evaluate_model

    with interruptible("nothing was measured.") as terminal:
        result = evaluate_model(model_dir, built(DataOptions, options), original=original, reporter=terminal)
    print_result(result, as_json, [accuracy_line(result), *data_lines(result)])
