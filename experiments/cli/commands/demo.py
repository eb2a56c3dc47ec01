"""``evoprune demo``: from training to a report, on digits."""

from pathlib import Path

import click
import cloup

from experiments.cli.interruption import interruptible
from experiments.cli.output import print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import json_option


@cloup.command(epilog="Example: evoprune demo demo-run")
@click.argument("directory", type=MODEL_DIRECTORY, default=Path("demo-run"))
@json_option
def demo(directory: Path, as_json: bool) -> None:
    """Train a small VGG on digits, search, export, evaluate and report, in DIRECTORY (demo-run)."""
    from experiments.demo import run_demo

    with interruptible("remove the directory to start again.") as terminal:
        result = run_demo(directory, reporter=terminal)
    print_result(result, as_json, list(result.lines))
