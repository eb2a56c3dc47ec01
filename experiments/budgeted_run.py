"""A search with a budget of masks, which the same call goes on with."""

from pathlib import Path

from engine.checkpoint import Checkpoint
from engine.errors import RunError
from engine.run_directory import DESCRIPTION, RunDirectory
from experiments.progress import Reporter
from experiments.search_options import SearchOptions
from experiments.search_run import resume_search, start_search


def run_until(
    folder: Path, options: SearchOptions, evaluations: int, reporter: Reporter
) -> tuple[RunDirectory, Checkpoint]:
    """Search in ``folder`` until so many masks have been evaluated; the generation that reaches them is finished.

    A run that is there already is continued; ``options`` are then its own.

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
