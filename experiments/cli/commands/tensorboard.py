"""``evoprune tensorboard``: a run's journal for TensorBoard."""

from pathlib import Path

import click
import cloup

from experiments.cli.interruption import interruptible
from experiments.cli.output import print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import json_option, watch_option

_EVERY = 10.0


@cloup.command(epilog="Example: evoprune tensorboard run --watch, and beside it: tensorboard --logdir run")
@click.argument("run_dir")
@click.argument("log_dir", type=MODEL_DIRECTORY, required=False)
@watch_option(_EVERY)
@json_option
def tensorboard(run_dir: str, as_json: bool, log_dir: Path | None, watch: float | None) -> None:
    """Write TensorBoard event files of RUN_DIR into LOG_DIR (RUN_DIR/tensorboard).

    They are made from the journal, so a run that was interrupted and resumed has each generation once.
    """
    from experiments.report.tensorboard import write_events

    with interruptible("run the command again; it writes the file anew."):
        result = write_events(run_dir, log_dir, watch=watch)
    print_result(
        result,
        as_json,
        [
            f"{result['generations']:,} generations, {result['events']:,} values written to {result['file']}",
            f"show them with: tensorboard --logdir {result['log_directory']}",
        ],
    )
