"""``evoprune reproduce``: the experiments of the documents that evoprune implements."""

from pathlib import Path
from typing import Any

import click
import cloup

from experiments.cli.config import config_option
from experiments.cli.interruption import interruptible
from experiments.cli.output import print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import json_option


@cloup.command(epilog="Example: evoprune reproduce karnin-convnet karnin --quick")
@click.argument("name")
@click.argument("out_dir", type=MODEL_DIRECTORY)
@config_option
@cloup.option("--quick/--full", default=False, show_default=True, help="The same code on digits, in a minute.")
@cloup.option("--data-dir", envvar="EVOPRUNE_DATA_DIR", help="Folder with the parquet files of the data sets.")
@cloup.option("--model", type=MODEL_DIRECTORY, help="Trained model to begin with (paper-vgg, taylor-resnet20).")
@cloup.option("--vgg19", type=MODEL_DIRECTORY, help="VGG-19 trained on CIFAR-10, searched too (paper-vgg).")
@cloup.option("--images", type=int, help="Images that masks are evaluated on (paper-vgg).")
@cloup.option("--generations", type=int, help="Generations of each search (paper-vgg).")
@json_option
def reproduce(name: str, out_dir: Path, as_json: bool, quick: bool, data_dir: str | None, **budget: Any) -> None:
    """Run the experiment NAME of one of the documents and write its page to OUT_DIR.

    NAME is one of docs/reproductions.md, or all: each experiment then has a folder in OUT_DIR. After an
    interruption the same command continues the experiment.
    """
    from experiments.studies.reproductions import ALL, EXPERIMENTS, run_reproduction

    with interruptible("the same command continues the experiment.") as terminal:
        given = {option: value for option, value in budget.items() if value is not None}
        result = run_reproduction(name, out_dir, quick=quick, data_dir=data_dir, reporter=terminal, options=given)
    pages = [one["page"] for one in (result.values() if name == ALL else [result])]
    lines = [f"written to {page}" for page in pages]
    if quick and name == ALL:
        lines.append(
            "in full (docs/reproductions.md): evoprune reproduce NAME OUT_DIR --data-dir FOLDER; on 2 cores:"
        )
        lines += [f"  {known:<26} {experiment.time}" for known, experiment in EXPERIMENTS.items()]
    print_result(result, as_json, lines)
