"""``evoprune score``: counts of given masks."""

from pathlib import Path
from typing import Any

import click
import cloup

from experiments.cli.config import config_option
from experiments.cli.given import check_effects, compensation_effects
from experiments.cli.interruption import interruptible
from experiments.cli.options import built, options_of
from experiments.cli.output import data_lines, print_result
from experiments.cli.parameter_types import FILE, MODEL_DIRECTORY
from experiments.cli.shared_options import data_options, json_option, model_class_option
from experiments.data.options import DataOptions
from experiments.runs.options import SearchOptions


@cloup.command(epilog="Example: evoprune score small masks.npy --data cifar10 --images 2000")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@click.argument("masks", type=FILE)
@data_options()
@options_of(SearchOptions, only=["prune", "precision", "compensate", "compensation_images", "calibration_images"])
@model_class_option()
@config_option
@json_option
@click.pass_context
def score(
    context: click.Context,
    model_dir: Path,
    masks: Path,
    as_json: bool,
    prune: str,
    precision: str,
    compensate: str,
    compensation_images: int,
    calibration_images: int,
    **options: Any,
) -> None:
    """Count the images that each mask of MASKS (.npy, bool[n, filters], True = keep) gets right."""
    from experiments.runs.scoring import score_masks

    data = built(DataOptions, options)
    check_effects(context, compensation_effects(compensate))
    with interruptible("nothing was evaluated."):
        result = score_masks(
            model_dir, masks, data, prune, precision, compensate, compensation_images, calibration_images
        )
    lines = [
        f"mask {index}: " + (f"{count:,} of {result.total:,} correct" if count is not None else "failed")
        for index, count in enumerate(result.correct)
    ]
    if (difference := result.precision_difference) is not None:
        lines.append(
            f"the unpruned network: {difference['correct']:,} correct in {result.precision}, "
            f"{difference['float32_correct']:,} in float32, {difference['images_that_differ']:,} images differ"
        )
    lines.append(f"{result.seconds:.2f} s after {result.compile_seconds:.2f} s of compilation")
    print_result(result, as_json, [*lines, *result.not_compensated, *data_lines(result)])
