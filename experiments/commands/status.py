"""``evoprune status``: where a search stands."""

import click

from experiments.cli_options import json_option, print_result
from experiments.commands.lines import summary_lines


@click.command(epilog="Example: evoprune status run")
@click.argument("run_dir")
@json_option
def status(run_dir: str, as_json: bool) -> None:
    """Say where the search in RUN_DIR stands, from its files alone."""
    from experiments.status import read_status

    result = read_status(run_dir, warn=lambda text: click.echo(f"evoprune: {text}", err=True))
    print_result(result, as_json, summary_lines(result))
