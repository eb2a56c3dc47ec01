"""Starting and resuming searches in run directories: the ``search`` and ``resume`` commands."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from engine.errors import OptionError
from engine.run.directory import RunDirectory
from experiments.progress import Reporter, Silent
from experiments.runs.active import FILES, ActiveRun, SearchResult
from experiments.runs.building import prepare_driver
from experiments.runs.fitness_images import with_usual_images
from experiments.runs.knowledge.knowledge import Knowledge
from experiments.runs.options import Backend, SearchOptions
from experiments.runs.problem import Problem
from experiments.runs.saved import SavedRun
from experiments.runs.watching.ray_metrics import with_metrics


def start_search(
    location: str | os.PathLike[str],
    options: SearchOptions,
    backend: Backend | None = None,
    *,
    evaluations: int | None = None,
    reporter: Reporter | None = None,
) -> SearchResult:
    """Search in a new run directory until ``options.generations``.

    Args:
        location: of the run, a path or a URL.
        options: of the search.
        backend: where masks are evaluated; this process if None.
        evaluations: stop sooner, once so many masks are evaluated; the last generation is finished.
        reporter: hears of the progress.

    Raises:
        RunError: the location holds a run already.
        EvopruneError, NetworkError: model, data or backend cannot be used; nothing was written.
    """
    run = RunDirectory(location)
    run.check_free(FILES)
    backend = backend or Backend()
    reporter = with_metrics(reporter or Silent(), backend.name, run.location)
    prepare_driver(backend)
    problem = with_usual_images(Problem.load(_absolute(options).on(backend), reporter))
    checked = problem.check()
    knowledge = Knowledge.compute(problem)
    with (
        ActiveRun.open(run, problem, knowledge, backend, reporter) as active,
        _locked(run, reporter) as warnings,
    ):
        active.begin(checked)
        return _warned(active.run_until(options.generations, evaluations), warnings)


def resume_search(
    location: str | os.PathLike[str],
    *,
    generations: int | None = None,
    patience: int | None = None,
    evaluations: int | None = None,
    backend: Backend | None = None,
    keep_memory: int | None = None,
    model: str | None = None,
    data_dir: str | None = None,
    reporter: Reporter | None = None,
) -> SearchResult:
    """Continue a run from its newest whole checkpoint, as if it had never stopped.

    Args:
        location: of the run, a path or a URL.
        generations: the new total; the run's own if None.
        patience: generations without progress after which the search ends; the run's own if None.
        evaluations: stop sooner, once so many masks are evaluated in all.
        backend: where masks are evaluated; the run's own if None. Has no influence on results.
        keep_memory: in place of the backend's, in megabytes.
        model: where the model is now, if it moved.
        data_dir: where the data is now, if it moved.
        reporter: hears of the progress.

    Raises:
        RunError: there is no run, or the model or the data are not those that the run began with.
        OptionError: the run has more generations behind it than ``generations``.
        CheckpointError: every checkpoint is damaged.
    """
    run = RunDirectory.open(location)
    reporter = reporter or Silent()
    with _locked(run, reporter) as warnings:
        backend = backend or Backend.from_json(run.description().get("backend"))
        if keep_memory is not None:
            backend = replace(backend, keep_memory=keep_memory)
        reporter = with_metrics(reporter, backend.name, run.location)
        prepare_driver(backend)
        changes = {"generations": generations, "patience": patience}
        given = {name: value for name, value in changes.items() if value is not None}
        saved = SavedRun.of(run, model=model, data_dir=data_dir, changes=given, reporter=reporter)
        _check_total(saved)
        # Other images are refused before workers start.
        _ = saved.images
        knowledge = Knowledge.read(run, saved.problem)
        with ActiveRun.open(run, saved.problem, knowledge, backend, reporter) as active:
            active.restore(saved)
            return _warned(active.run_until(saved.options.generations, evaluations), warnings)


@contextmanager
def _locked(run: RunDirectory, reporter: Reporter) -> Iterator[list[str]]:
    """Lock a run. The sentences on a file system without locks go to the reporter, and to the result."""
    warnings: list[str] = []

    def warn(sentence: str) -> None:
        warnings.append(sentence)
        reporter.message(sentence)

    with run.locked(warn):
        yield warnings


def _warned(result: SearchResult, warnings: list[str]) -> SearchResult:
    return replace(result, facts=result.facts.adding(warnings=warnings))


def _check_total(saved: SavedRun) -> None:
    """Refuse a total of generations below those that the run has behind it."""
    total, checkpoint = saved.options.generations, saved.checkpoint
    reached = 0 if checkpoint is None else checkpoint.state.generation
    if total < reached:
        raise OptionError(
            f"`generations` {total} is the new total and the run has {reached} behind it; give more."
        )


def _absolute(options: SearchOptions) -> SearchOptions:
    """The options with absolute paths, so that a run can be resumed from another working directory."""
    return replace(options, model=str(Path(options.model).resolve()), data=options.data.resolved())
