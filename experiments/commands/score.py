"""``evoprune score``: counts of given masks."""

from pathlib import Path
from typing import Any

import click

from experiments.cli_options import (
    FILE,
    MODEL_DIRECTORY,
    config_option,
    data_options,
    json_option,
    model_class_option,
    precision_option,
    print_result,
)


@click.command(epilog="Example: evoprune score small masks.npy --data cifar10 --images 2000")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@click.argument("masks", type=FILE)
@config_option
@model_class_option()
@data_options("train")
@click.option("--prune", default="convolutions", show_default=True, help="Filters: convolutions or all.")
@precision_option
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of --images.")
@json_option
def score(model_dir: Path, masks: Path, as_json: bool, prune: str, precision: str, **options: Any) -> None:
    """Count the images that each mask of MASKS (.npy, bool[n, filters], True = keep) gets right."""
    from experiments.measuring import DataOptions, score_masks

    result = score_masks(model_dir, masks, DataOptions(**options), prune, precision)
    lines = [
        f"mask {index}: " + (f"{count:,} of {result['total']:,} correct" if count is not None else "failed")
        for index, count in enumerate(result["correct"])
    ]
    if (difference := result["precision_difference"]) is not None:
        lines.append(
            f"the unpruned network: {difference['correct']:,} correct in {result['precision']}, "
            f"{difference['float32_correct']:,} in float32, {difference['images_that_differ']:,} images differ"
        )
    lines.append(f"{result['seconds']:.2f} s after {result['compile_seconds']:.2f} s of compilation")
    print_result(result, as_json, lines)
