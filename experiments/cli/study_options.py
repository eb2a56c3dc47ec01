"""Options shared by the studies that compare searches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import cloup

from experiments.cli.interruption import interruptible
from experiments.cli.options import Command, options_of, together
from experiments.cli.parameter_types import MODEL_DIRECTORY, NUMBERS
from experiments.data.options import DataOptions
from experiments.progress import Reporter
from experiments.runs.options import SearchOptions


def study_options(*, evaluations: int, thresholds: str) -> Callable[[Command], Command]:
    """``OUT_DIR``, the network, the images, the budget and ``--quick``; defaults as given."""
    return together(
        click.argument("out_dir", type=click.Path(path_type=Path)),
        cloup.option("--model", type=MODEL_DIRECTORY, help="Trained model directory; --quick trains one."),
        options_of(
            DataOptions, only=["data", "data_dir", "images"], defaults={"data": "cifar10", "images": 5000}
        ),
        cloup.option(
            "--evaluations", type=int, default=evaluations, show_default=True, help="Masks for each search."
        ),
        cloup.option(
            "--seeds", type=int, default=3, show_default=True, help="Repetitions of each search, from seed 0 on."
        ),
        cloup.option(
            "--thresholds",
            type=NUMBERS,
            default=thresholds,
            show_default=True,
            help="Accuracy drops allowed, percent, as 0.5,1,2,5.",
        ),
        cloup.option(
            "--objective",
            type=click.Choice(["parameters", "macs"]),
            default="parameters",
            show_default=True,
            help="What masks are to drop most of.",
        ),
        options_of(SearchOptions, only=["force"]),
        cloup.option("--quick", is_flag=True, help="A small network on digits and a small budget, in a minute."),
    )


def compare(out_dir: Path, model: Path | None, quick: bool, work: Callable[[Reporter], Any]) -> None:
    """Do the work and print its tables.

    Raises:
        click.UsageError: no model is given.
    """
    if model is None and not quick:
        raise click.UsageError("give --model MODEL_DIR, or --quick for a small network on digits.")
    with interruptible("the same command continues the comparison.") as terminal:
        work(terminal)
    click.echo((out_dir / "tables.md").read_text(encoding="utf-8"))
