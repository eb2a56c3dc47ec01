"""``evoprune reproduce``: the experiments of the documents that evoprune implements."""

from pathlib import Path
from typing import Any

import click

from experiments.cli_options import MODEL_DIRECTORY, config_option, json_option, print_result
from experiments.commands.interruption import interruptible


@click.command(epilog="Example: evoprune reproduce karnin-convnet karnin --quick")
@click.argument("name")
@click.argument("out_dir", type=MODEL_DIRECTORY)
@config_option
@click.option("--quick/--full", default=False, show_default=True, help="The same code on digits, in a minute.")
@click.option("--data-dir", envvar="EVOPRUNE_DATA_DIR", help="Folder with the parquet files of the data sets.")
@click.option("--model", type=MODEL_DIRECTORY, help="Trained model directory to begin with (paper-vgg).")
@click.option("--images", type=click.IntRange(min=1), help="Images that masks are evaluated on (paper-vgg).")
@click.option("--generations", type=click.IntRange(min=0), help="Of each search (paper-vgg).")
@json_option
def reproduce(name: str, out_dir: Path, as_json: bool, quick: bool, data_dir: str | None, **budget: Any) -> None:
    """Run the experiment NAME of one of the documents and write its page to OUT_DIR.

    An experiment that was interrupted goes on with the same command. Names: see docs/reproductions.md.
    """
    from experiments.reproductions import run_reproduction

    with interruptible("the same command goes on with it.") as terminal:
        given = {option: value for option, value in budget.items() if value is not None}
        result = run_reproduction(name, out_dir, quick=quick, data_dir=data_dir, reporter=terminal, options=given)
    print_result(result, as_json, [f"written to {result['page']}"])
