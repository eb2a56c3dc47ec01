"""``evoprune baseline``: what other methods reach on the same network and images."""

from pathlib import Path
from typing import Any

import click

from experiments.cli_options import (
    MODEL_DIRECTORY,
    config_option,
    data_options,
    json_option,
    model_class_option,
    objective_options,
    precision_option,
    print_result,
    taken,
)
from experiments.commands.interruption import interruptible


@click.command(epilog="Example: evoprune baseline small --data cifar10 --images 2000 --run run --out compared")
@click.argument("model_dir", type=MODEL_DIRECTORY)
@config_option
@model_class_option()
@click.option(
    "--methods",
    help="Names of importances, random-search and hill-climbing, as taylor,magnitude; without it all but "
    "the slow oracle, as far as they can be had.",
)
@data_options("train")
@click.option(
    "--importance-images",
    type=click.IntRange(min=1),
    help="Images of the train split that importances are computed on; 1,000, or all, if not given.",
)
@click.option("--threshold", type=float, default=2.0, show_default=True, help="Accuracy drop allowed, percent.")
@objective_options
@click.option("--prune", help="Filters: convolutions or all; those of --run, or else convolutions, if not given.")
@click.option(
    "--scope",
    default="global",
    show_default=True,
    help="Filters leave in order of importance among all (global), or equal shares of each layer (layer).",
)
@click.option("--floor", type=float, default=0.0, show_default=True, help="Share of each layer that stays.")
@click.option("--run", help="Run directory of a search of MODEL_DIR, whose BEST is marked in the figure.")
@click.option("--budget", type=int, help="Masks that random-search and hill-climbing each try; those of --run.")
@click.option(
    "--out",
    type=MODEL_DIRECTORY,
    help="New directory for table, figure, numbers and masks. Stopped before it is "
    "there, the same command goes on.",
)
@precision_option
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of images and methods.")
@json_option
def baseline(model_dir: Path, as_json: bool, **options: Any) -> None:
    """Compare methods on MODEL_DIR: accuracy without retraining against parameters, MACs or latency dropped.

    For each method, the table gives the largest such drop that was found within the threshold.
    """
    from experiments.baselines import BaselineOptions, compare_baselines
    from experiments.kept_results import SUFFIX
    from experiments.measuring import DataOptions

    data = DataOptions(**taken(options, "data", "data_dir", "split", "images", "seed"))
    places = taken(options, "run", "out")
    chosen = BaselineOptions(data, **options)
    remedy = "run the command again."
    if places["out"] is not None:
        remedy = f"the same command goes on; methods that are finished are in {places['out']}{SUFFIX}."
    with interruptible(remedy) as terminal:
        result = compare_baselines(model_dir, chosen, reporter=terminal, **places)
    files = result["files"]
    written = f"written to {files[-1]}" if files else "give --out DIR for the figure, the numbers and the masks"
    print_result(result, as_json, [result["table"], written])
