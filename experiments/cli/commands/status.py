"""``evoprune status``: where a search stands, once or for as long as it goes on."""

import json
import shutil
from typing import TYPE_CHECKING

import click
import cloup

from experiments.cli import standard_output
from experiments.cli.options import spelled_for
from experiments.cli.output import pace_lines, print_result, status_lines
from experiments.cli.shared_options import json_option, watch_option
from experiments.spelling import measured_as

if TYPE_CHECKING:
    from experiments.runs.watching.following import FollowedStatus

_EVERY = 5.0


@cloup.command(epilog="Example: evoprune status run --watch")
@click.argument("run_dir")
@watch_option(_EVERY)
@json_option
@click.pass_context
def status(context: click.Context, run_dir: str, as_json: bool, watch: float | None) -> None:
    """Say where the search in RUN_DIR stands, from its files alone.

    With --watch and --json, one JSON object a line, each time the run has moved on.
    """
    from experiments.runs.watching.following import follow
    from experiments.runs.watching.status import read_status

    def warn(text: str) -> None:
        click.echo(f"evoprune: {spelled_for(context, text)}", err=True)

    if watch is None:
        result = read_status(run_dir, warn)
        print_result(result, as_json, status_lines(result))
        return
    shown = 0
    for look in follow(run_dir, watch, warn):
        shown = _show(look, as_json, shown)


def _show(status: "FollowedStatus", as_json: bool, shown: int) -> int:
    """Print the status, on a terminal in place of the last ``shown`` rows; return the rows printed."""
    if as_json:
        standard_output.write(json.dumps(status.to_json(), allow_nan=False))
        return 0
    lines = [measured_as(line, status.measure) for line in (*status_lines(status), *pace_lines(status))]
    if standard_output.on_a_terminal():
        # Up to the first row of before, and clear from there to the end of the screen.
        standard_output.write("\x1b[F" * shown + "\x1b[J", newline=False)
    standard_output.write("\n".join(lines))
    columns = max(1, shutil.get_terminal_size().columns)
    return sum(max(1, -(-len(line) // columns)) for line in lines)
