"""A search with a budget of masks; the same call continues an interrupted search."""

from pathlib import Path

from engine.errors import RunError
from engine.run.checkpoint import Checkpoint
from engine.run.directory import DESCRIPTION, RunDirectory
from experiments.progress import Reporter
from experiments.runs.options import SearchOptions
from experiments.runs.search import resume_search, start_search


def run_until(
    folder: Path, options: SearchOptions, evaluations: int, reporter: Reporter
) -> tuple[RunDirectory, Checkpoint]:
    """Search in ``folder`` until ``evaluations`` masks have been evaluated, and finish that generation.

    An existing run is continued with its own options.

    Raises:
        RunError: the run lost its checkpoint.
    """
    run = RunDirectory(folder)
    if run.store.exists(DESCRIPTION):
        resume_search(folder, evaluations=evaluations, reporter=reporter)
    else:
        start_search(folder, options, evaluations=evaluations, reporter=reporter)
    checkpoint = run.latest(reporter.message)
    if checkpoint is None:
        raise RunError(f"{run.location} has no checkpoint; remove that folder to search again.")
    return run, checkpoint
