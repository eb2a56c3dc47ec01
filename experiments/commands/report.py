"""``evoprune report``: the report of a run, or several runs compared."""

from pathlib import Path

import click

from experiments.cli_options import MODEL_DIRECTORY, json_option, model_class_option, print_result
from experiments.commands.interruption import interruptible


@click.command(epilog="Example: evoprune report run, or: evoprune report run-a run-b --out comparison")
@click.argument("run_dirs", nargs=-1, required=True, metavar="RUN_DIR...")
@click.option("--out", type=MODEL_DIRECTORY, help="New directory for the comparison of several runs.")
@click.option("--model", help="Where the run's model is now, if it moved.")
@click.option("--data-dir", help="Where the run's data is now, if it moved.")
@model_class_option()
@json_option
def report(
    run_dirs: tuple[str, ...], as_json: bool, out: Path | None, model: str | None, data_dir: str | None
) -> None:
    """Write the paper's table, the figures and an HTML page for RUN_DIR into RUN_DIR/report.

    Several runs are compared instead, on a page in --out.
    """
    from engine.errors import OptionError
    from experiments.comparison import compare_runs
    from experiments.report import make_report

    with interruptible("run the command again.") as terminal:
        if len(run_dirs) == 1:
            if out is not None:
                raise OptionError("--out is for comparing several runs; a run's report goes into RUN_DIR/report.")
            [run] = run_dirs
            result = make_report(run, reporter=terminal, model=model, data_dir=data_dir)
            lines = [result["table"]]
        else:
            if out is None:
                raise OptionError("--out is missing; name a new directory for the comparison of these runs.")
            if data_dir is not None:
                raise OptionError("--data-dir is of no use here: a comparison reads no images; leave it out.")
            result = compare_runs(run_dirs, out, model=model, reporter=terminal)
            lines = [
                f"{run['label']}  {run['run']}: parameters {run['best']['parameter_drop']:.2f}%, MACs "
                f"{run['best']['mac_drop']:.2f}%, accuracy {run['best']['accuracy_drop']:.2f}% dropped"
                for run in result["runs"]
            ]
    print_result(result, as_json, [*lines, f"open {result['page']} in a browser; the figures are beside it"])
