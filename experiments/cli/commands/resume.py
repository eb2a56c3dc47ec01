"""``evoprune resume``: continue a search."""

import click
import cloup

from experiments.cli.config import config_option
from experiments.cli.given import chosen_backend, is_given
from experiments.cli.interruption import how_to_resume, interruptible
from experiments.cli.options import options_of
from experiments.cli.output import print_result, search_lines
from experiments.cli.shared_options import backend_options, json_option, model_class_option, moved_options
from experiments.runs.options import SearchOptions


@cloup.command(epilog="Example: evoprune resume run --generations 200")
@click.argument("run_dir")
@options_of(
    SearchOptions,
    only=["generations", "patience"],
    defaults={"generations": None, "patience": None},
    helps={
        "generations": "New total of generations. The run's own if not given.",
        "patience": "As for evoprune search. The run's own if not given.",
    },
)
@moved_options
@model_class_option()
@backend_options
@config_option
@json_option
@click.pass_context
def resume(
    context: click.Context,
    run_dir: str,
    as_json: bool,
    generations: int | None,
    patience: int | None,
    model: str | None,
    data_dir: str | None,
    **_: object,
) -> None:
    """Continue the search in RUN_DIR from its newest checkpoint, as if it had never stopped.

    Without --backend the search continues on the backend that it began on.
    """
    from experiments.runs.search import resume_search

    backend = chosen_backend(context)
    with interruptible(how_to_resume(run_dir)) as terminal:
        result = resume_search(
            run_dir,
            generations=generations,
            patience=patience,
            backend=backend if is_given(context, "backend") else None,
            keep_memory=backend.keep_memory if is_given(context, "keep_memory") else None,
            model=model,
            data_dir=data_dir,
            reporter=terminal,
        )
    print_result(result, as_json, search_lines(result))
