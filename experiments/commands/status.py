"""``evoprune status``: where a search stands, once or for as long as it goes on."""

import json
import shutil
import sys
from typing import Any

import click

from experiments.cli_options import json_option, print_result, watch_option
from experiments.commands.lines import pace_line, summary_lines

_EVERY = 5.0


@click.command(epilog="Example: evoprune status run --watch")
@click.argument("run_dir")
@watch_option(_EVERY)
@json_option
def status(run_dir: str, as_json: bool, watch: float | None) -> None:
    """Say where the search in RUN_DIR stands, from its files alone.

    With --watch and --json, one JSON object a line, each time the run has moved on.
    """
    from experiments.following import follow
    from experiments.status import read_status

    def warn(text: str) -> None:
        click.echo(f"evoprune: {text}", err=True)

    if watch is None:
        result = read_status(run_dir, warn)
        print_result(result, as_json, summary_lines(result))
        return
    shown = 0
    for result in follow(run_dir, watch, warn):
        shown = _show(result, as_json, shown)


def _show(result: dict[str, Any], as_json: bool, shown: int) -> int:
    """Print, over the ``shown`` rows that were printed before where a person looks on; rows printed."""
    if as_json:
        click.echo(json.dumps(result, allow_nan=False))
        return 0
    lines = [*summary_lines(result), *pace_line(result)]
    if sys.stdout.isatty():
        # Up to the first row of before, and clear from there to the end of the screen.
        click.echo("\x1b[F" * shown + "\x1b[J", nl=False)
    click.echo("\n".join(lines))
    columns = max(1, shutil.get_terminal_size().columns)
    return sum(max(1, -(-len(line) // columns)) for line in lines)
