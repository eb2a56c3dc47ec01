"""What the comparisons of searches have in common on their command lines."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

from experiments.cli_options import MODEL_DIRECTORY, Command, numbers
from experiments.commands.interruption import interruptible
from experiments.progress import Reporter


def comparison_options(*, evaluations: int, thresholds: str) -> Callable[[Command], Command]:
    """``OUT_DIR``, the network, the images, the budget and ``--quick``; defaults as given."""
    options: list[Callable[[Command], Command]] = [
        click.argument("out_dir", type=click.Path(path_type=Path)),
        click.option("--model", type=MODEL_DIRECTORY, help="Trained model directory; --quick trains one."),
        click.option("--data", default="cifar10", show_default=True, help="As for evoprune search."),
        click.option("--data-dir", envvar="EVOPRUNE_DATA_DIR", help="As for evoprune search."),
        click.option(
            "--images", type=click.IntRange(min=1), default=5000, show_default=True, help="Fitness images."
        ),
        click.option(
            "--evaluations", type=int, default=evaluations, show_default=True, help="Masks for each search."
        ),
        click.option(
            "--seeds", type=int, default=3, show_default=True, help="Repetitions of each search, from seed 0 on."
        ),
        click.option(
            "--thresholds",
            callback=numbers,
            default=thresholds,
            show_default=True,
            help="Accuracy drops allowed, percent, as 0.5,1,2,5.",
        ),
        click.option(
            "--objective",
            type=click.Choice(["parameters", "macs"]),
            default="parameters",
            show_default=True,
            help="What is to be dropped.",
        ),
        click.option("--quick", is_flag=True, help="A small network on digits and a small budget, in a minute."),
    ]
    return lambda command: reduce(lambda inner, option: option(inner), reversed(options), command)


def compare(out_dir: Path, model: Path | None, quick: bool, work: Callable[[Reporter], Any]) -> None:
    """Do the work and print its tables.

    Raises:
        click.UsageError: there is no model to do it with.
    """
    if model is None and not quick:
        raise click.UsageError("give --model MODEL_DIR, or --quick for a small network on digits.")
    with interruptible("the same command goes on with it.") as terminal:
        work(terminal)
    click.echo((out_dir / "tables.md").read_text(encoding="utf-8"))
