"""Where a run stands, from its files alone: the ``status`` command."""

import os
from collections.abc import Callable
from typing import Any

from engine.archive import Archive
from engine.errors import MaskError, RunError
from engine.journal import islands_summary
from engine.layout import Layout
from engine.pool_figures import PoolFigures
from engine.run_directory import DESCRIPTION, RunDirectory
from engine.state import SearchState
from experiments.front_points import front_json
from experiments.patience import Patience
from fitness.rewards import OBJECTIVES


def summary(
    state: SearchState, generations: int, objective: str, *, out_of_patience: bool = False
) -> dict[str, Any]:
    """generation, generations (asked for), objective, evaluations, failures, stopped, complete, BEST and figures.

    ``out_of_patience``: it ended before its last generation (:mod:`experiments.patience`).
    Where there are several islands also each one's population, as in the journal; where a front is searched for
    also the front (:func:`experiments.front_points.front_json`).
    """
    return {
        "generation": state.generation,
        "generations": generations,
        "objective": objective,
        "evaluations": state.evaluations,
        "failures": state.failures,
        "stopped": state.stopped,
        "complete": state.generation >= generations or out_of_patience,
        "out_of_patience": out_of_patience,
        "best": {
            **state.best.to_json(),
            "removed_filters": int((~state.best.individual.mask).sum()),
            "filters": len(state.best.individual.mask),
        },
        **islands_summary(state),
        **_front(state),
    }


def read_status(
    directory: str | os.PathLike[str], warn: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """The summary of a run's newest whole checkpoint; ``best`` is None before the first,
    when evaluations are those of generation 0 so far.

    Where workers evaluate, also how they did in the last generation
    (:class:`engine.pool_figures.PoolFigures`).

    Raises:
        RunError: no run there.
        CheckpointError: every checkpoint is damaged.
    """
    run = RunDirectory.open(directory)
    description = run.description()
    configuration = description.get("configuration")
    asked = configuration if isinstance(configuration, dict) else {}
    generations = asked.get("generations")
    if not isinstance(generations, int) or isinstance(generations, bool):
        raise RunError(f"{run.store.full_name(DESCRIPTION)} is damaged (no number of generations); restore it.")
    # Runs that do not say were begun before there was a choice.
    objective = asked.get("objective", "parameters")
    if not isinstance(objective, str) or objective not in OBJECTIVES:
        raise RunError(f"{run.store.full_name(DESCRIPTION)} is damaged (no known objective); restore it.")
    checkpoint = run.latest(warn)
    if checkpoint is None:
        founded = _founded(run, description, warn)
        return {
            "generation": None,
            "generations": generations,
            "objective": objective,
            "evaluations": len(founded),
            "failures": founded.failures(),
            "stopped": 0,
            "complete": False,
            "out_of_patience": False,
            "best": None,
        }
    exhausted = _out_of_patience(run, asked.get("patience", 0), checkpoint.state.generation)
    found = summary(checkpoint.state, generations, objective, out_of_patience=exhausted)
    return {**found, **_workers(run)}


def _founded(run: RunDirectory, description: dict[str, Any], warn: Callable[[str], None]) -> Archive:
    """What generation 0 has counted so far."""
    try:
        layout = Layout(tuple(description["layout"]["names"]), tuple(description["layout"]["sizes"]))
        return run.founding(layout, str(description["identity"]), warn)
    except (KeyError, TypeError, MaskError) as error:
        where = run.store.full_name(DESCRIPTION)
        raise RunError(f"{where} is damaged (no layout or identity); restore it.") from error


def _out_of_patience(run: RunDirectory, patience: Any, generation: int) -> bool:
    if not isinstance(patience, int) or isinstance(patience, bool):
        raise RunError(f"{run.store.full_name(DESCRIPTION)} is damaged (patience is no number); restore it.")
    if patience == 0:
        return False
    return Patience(patience, (row for row in run.journal() if row["generation"] <= generation)).exhausted


def _front(state: SearchState) -> dict[str, Any]:
    if state.front is None:
        return {}
    return {"front": front_json(state.front, state.front.masks(state.archive))}


def ancestry_text(ancestry: dict[str, int]) -> str:
    """Where the filters that BEST removes come from (:mod:`engine.ancestry`), most first."""
    removed = sum(ancestry.values())
    if removed == 0:
        return "nowhere, as none is removed"
    origins = sorted(filter(ancestry.__getitem__, ancestry), key=ancestry.__getitem__, reverse=True)
    return ", ".join(f"{origin} {100 * ancestry[origin] / removed:.1f}%" for origin in origins)


def _workers(run: RunDirectory) -> dict[str, Any]:
    timings = run.timings()
    workers = timings[-1].get("workers") if timings else None
    return {} if workers is None else {"workers": PoolFigures.from_json(workers).to_json()}
