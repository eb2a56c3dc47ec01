"""``evoprune demo``: the whole story on digits."""

from pathlib import Path

import click

from experiments.cli_options import MODEL_DIRECTORY, json_option, print_result
from experiments.commands.interruption import interruptible


@click.command(epilog="Example: evoprune demo demo-run")
@click.argument("directory", type=MODEL_DIRECTORY, default=Path("demo-run"))
@json_option
def demo(directory: Path, as_json: bool) -> None:
    """Train a small VGG on digits, search, export, evaluate and report, in DIRECTORY (demo-run)."""
    from experiments.demo import run_demo

    with interruptible("remove the directory to start again.") as terminal:
        result = run_demo(directory, reporter=terminal)
    print_result(result, as_json, result["lines"])
