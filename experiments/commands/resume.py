"""``evoprune resume``: continue a search."""

from typing import Any

import click

from experiments.cli_options import (
    backend_options,
    chosen_backend,
    config_option,
    json_option,
    model_class_option,
    print_result,
)
from experiments.commands.interruption import how_to_resume, interruptible
from experiments.commands.lines import summary_lines
from experiments.effects import is_given


@click.command(epilog="Example: evoprune resume run --generations 200")
@click.argument("run_dir")
@config_option
@click.option("--generations", type=int, help="The new total; the run's own if not given.")
@click.option("--patience", type=int, help="As of search; the run's own if not given.")
@click.option("--model", help="Where the model is now, if it moved.")
@click.option("--data-dir", help="Where the data is now, if it moved.")
@model_class_option()
@backend_options
@json_option
@click.pass_context
def resume(context: click.Context, run_dir: str, as_json: bool, **options: Any) -> None:
    """Continue the search in RUN_DIR from its newest checkpoint, as if it had never stopped.

    Without --backend it goes on where it began.
    """
    from experiments.search_run import resume_search

    chosen = chosen_backend(context, options)
    backend = chosen if is_given(context, "backend") else None
    with interruptible(how_to_resume(run_dir)) as terminal:
        result = resume_search(run_dir, backend=backend, reporter=terminal, **options)
    print_result(result, as_json, summary_lines(result))
