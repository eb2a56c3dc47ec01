"""``evoprune evaluate``: the accuracy of a model directory."""

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
)
from experiments.commands.lines import accuracy_line


@click.command(epilog="Example: evoprune evaluate pruned --data cifar10 --split test")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@config_option
@model_class_option()
@data_options("test")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of --images.")
@json_option
def evaluate(model_dir: Path, as_json: bool, **options: Any) -> None:
    """Measure the accuracy of a model directory, pruned or not."""
    from experiments.measuring import DataOptions, evaluate_model

    result = evaluate_model(model_dir, DataOptions(**options))
    print_result(result, as_json, [accuracy_line(result)])
