"""``evoprune report``: the report of a run."""

from typing import Any

import click

from experiments.cli_options import json_option, model_class_option, print_result
from experiments.commands.interruption import interruptible


@click.command(epilog="Example: evoprune report run")
@click.argument("run_dir")
@click.option("--model", help="Where the run's model is now, if it moved.")
@click.option("--data-dir", help="Where the run's data is now, if it moved.")
@model_class_option()
@json_option
def report(run_dir: str, as_json: bool, **options: Any) -> None:
    """Write the paper's table and figures for RUN_DIR into RUN_DIR/report."""
    from experiments.report import make_report

    with interruptible("run the command again.") as terminal:
        result = make_report(run_dir, reporter=terminal, **options)
    print_result(result, as_json, [result["table"], f"written to {result['report']}"])
