"""``evoprune report``: the report of a run, or several runs compared."""

from pathlib import Path

import click
import cloup

from experiments.cli.interruption import interruptible
from experiments.cli.output import data_lines, print_result
from experiments.cli.parameter_types import MODEL_DIRECTORY
from experiments.cli.shared_options import json_option, model_class_option, moved_options


@cloup.command(epilog="Example: evoprune report run, or: evoprune report run-a run-b --out comparison")
@click.argument("run_dirs", nargs=-1, required=True, metavar="RUN_DIR...")
@cloup.option("--out", type=MODEL_DIRECTORY, help="New directory for the comparison of several runs.")
@moved_options
@model_class_option()
@json_option
def report(
    run_dirs: tuple[str, ...], as_json: bool, out: Path | None, model: str | None, data_dir: str | None
) -> None:
    """Write the table of the thesis, the figures and an HTML page for RUN_DIR into RUN_DIR/report.

    Several runs are compared instead, on a page in --out.
    """
    from engine.errors import OptionError
    from experiments.report.run import make_report
    from experiments.report.run_comparison import compare_runs

    with interruptible("run the command again.") as terminal:
        if len(run_dirs) == 1:
            if out is not None:
                raise OptionError(
                    "`out` is for comparing several runs; the report of one run goes into RUN_DIR/report."
                )
            [run] = run_dirs
            result = make_report(run, reporter=terminal, model=model, data_dir=data_dir)
            lines = [result["table"], *data_lines(result)]
        else:
            if out is None:
                raise OptionError("`out` is missing; name a new directory for the comparison of these runs.")
            if data_dir is not None:
                raise OptionError("`data_dir` has no effect: a comparison reads no images; leave it out.")
            result = compare_runs(run_dirs, out, model=model, reporter=terminal)
            lines = [
                f"{run['label']}  {run['run']}: parameters {run['best']['parameter_drop']:.2f}%, MACs "
                f"{run['best']['mac_drop']:.2f}%, accuracy {run['best']['accuracy_drop']:.2f}% dropped"
                for run in result["runs"]
            ]
    print_result(result, as_json, [*lines, f"open {result['page']} in a browser; the figures are beside it"])
