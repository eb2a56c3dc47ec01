"""Where a run stands, from its files alone: the ``status`` command."""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec

from engine.cluster.figures import PoolFigures
from engine.errors import MaskError, RunError
from engine.layout import Layout
from engine.run.directory import DESCRIPTION, RunDirectory
from engine.run.journal import islands_summary
from engine.search.archive import Archive
from engine.search.state import SearchState
from experiments.data.matching import ORIGINAL
from experiments.runs.finish.result import FINISH, Result, read_result
from experiments.runs.patience import Patience
from experiments.runs.watching.front_points import front_json
from experiments.spelling import ACCURACY, AGREEMENT
from fitness.objective.rewards import OBJECTIVES


@dataclass(frozen=True)
class SearchStatus:
    """How far a search has come, and its BEST.

    Attributes:
        generation: the last finished generation; None while generation 0 is under way.
        generations: the generations that the search was asked for.
        objective: a key of :data:`fitness.objective.rewards.OBJECTIVES`.
        evaluations: masks evaluated so far.
        failures: masks whose network answered NaN or infinity.
        stopped: masks whose evaluation was stopped early.
        complete: whether the search has ended by itself.
        out_of_patience: whether it ended for want of progress.
        best: score, figures, count and name of BEST, and how many of its filters are removed; None before
            generation 0 is finished.
        islands: the population of each island, where there are several.
        front: the front (:func:`experiments.runs.watching.front_points.front_json`), where one is searched for.
        workers: how the workers did in the last generation, where there are some.
        finishes: whether the search ends with a finish (:mod:`experiments.runs.finish`).
        judged: candidates that the finish has judged, while it is under way.
        result: the RESULT; None before the finish is done, and where there is none.
        measure: ``accuracy``, or ``agreement`` with the unpruned network where labels are its own answers.
    """

    generation: int | None
    generations: int
    objective: str
    evaluations: int
    failures: int
    stopped: int
    complete: bool
    out_of_patience: bool = False
    best: dict[str, Any] | None = None
    islands: list[dict[str, Any]] | None = None
    front: dict[str, Any] | None = None
    workers: PoolFigures | None = None
    finishes: bool = False
    judged: int | None = None
    result: Result | None = None
    measure: str = ACCURACY

    @classmethod
    def of(
        cls,
        state: SearchState,
        generations: int,
        objective: str,
        *,
        out_of_patience: bool = False,
        finishes: bool = False,
        result: Result | None = None,
        measure: str = ACCURACY,
    ) -> "SearchStatus":
        """The status of a search in this state."""
        ended = state.generation >= generations or out_of_patience
        return cls(
            generation=state.generation,
            generations=generations,
            objective=objective,
            evaluations=state.evaluations,
            failures=state.failures,
            stopped=state.stopped,
            complete=ended and (result is not None or not finishes),
            out_of_patience=out_of_patience,
            best=best_to_json(state),
            islands=islands_summary(state).get("islands"),
            front=None if state.front is None else front_json(state.front, state.front.masks(state.archive)),
            finishes=finishes,
            result=result,
            measure=measure,
        )

    @property
    def finishing(self) -> bool:
        """Whether the last generation is done and the finish is not."""
        ended = self.generation is not None and (self.generation >= self.generations or self.out_of_patience)
        return ended and not self.complete

    def to_json(self) -> dict[str, Any]:
        """A JSON object; islands, front, workers, ``judged`` and ``result`` are left out where there are none."""
        entry = {each.name: getattr(self, each.name) for each in fields(SearchStatus)}
        if self.workers is not None:
            entry["workers"] = self.workers.to_json()
        if self.result is not None:
            entry["result"] = self.result.to_json()
        del entry["finishes"]
        absent = {name for name in ("islands", "front", "workers", "judged", "result") if entry[name] is None}
        return {name: value for name, value in entry.items() if name not in absent}


def best_to_json(state: SearchState) -> dict[str, Any]:
    """Score, figures, count and name of BEST, and how many of its filters are removed."""
    mask = state.best.individual.mask
    return {**state.best.to_json(), "removed_filters": int((~mask).sum()), "filters": len(mask)}


def read_status(
    location: str | os.PathLike[str], warn: Callable[[str], None] = lambda text: None
) -> SearchStatus:
    """The status of a run at its newest whole checkpoint.

    Before the first checkpoint ``best`` is None, and the evaluations are those of generation 0 so far.

    Raises:
        RunError: there is no run, or a file is damaged.
        CheckpointError: every checkpoint is damaged.
    """
    run = RunDirectory.open(location)
    asked = _Asked.read(run)
    checkpoint = run.latest(warn)
    if checkpoint is None:
        counted = _counted(run, warn)
        return SearchStatus(
            generation=None,
            generations=asked.generations,
            objective=asked.objective,
            evaluations=len(counted),
            failures=counted.failures(),
            stopped=0,
            complete=False,
            measure=asked.measure,
        )
    state = checkpoint.state
    exhausted = asked.patience > 0 and _out_of_patience(run, asked.patience, state.generation)
    result = read_result(run, state, checkpoint.identity) if asked.finish else None
    found = SearchStatus.of(
        state,
        asked.generations,
        asked.objective,
        out_of_patience=exhausted,
        finishes=asked.finish,
        result=result,
        measure=asked.measure,
    )
    return replace(found, workers=_workers(run), judged=_judged(run, state) if found.finishing else None)


def ancestry_text(ancestry: dict[str, int]) -> str:
    """Where the filters that BEST removes come from (:mod:`engine.search.ancestry`), most first."""
    removed = sum(ancestry.values())
    if removed == 0:
        return "nowhere, as none is removed"
    origins = sorted(filter(ancestry.__getitem__, ancestry), key=ancestry.__getitem__, reverse=True)
    return ", ".join(f"{origin} {100 * ancestry[origin] / removed:.1f}%" for origin in origins)


@dataclass(frozen=True)
class _Asked:
    """What ``run.json`` says of the search; read without JAX, so that ``status`` starts fast."""

    generations: int
    objective: str
    patience: int
    finish: bool
    data: dict[str, Any]

    @property
    def measure(self) -> str:
        """See :class:`SearchStatus`."""
        return AGREEMENT if self.data.get("labels") == ORIGINAL else ACCURACY

    @classmethod
    def read(cls, run: RunDirectory) -> "_Asked":
        try:
            asked = msgspec.convert(run.description().get("configuration"), cls)
        except msgspec.ValidationError as error:
            raise _damaged(run, str(error)) from error
        if asked.objective not in OBJECTIVES:
            raise _damaged(run, f"{asked.objective!r} is no objective")
        return asked


def _counted(run: RunDirectory, warn: Callable[[str], None]) -> Archive:
    """What generation 0 has counted so far."""
    description = run.description()
    try:
        layout = Layout(tuple(description["layout"]["names"]), tuple(description["layout"]["sizes"]))
        return run.initial_counts(layout, str(description["identity"]), warn)
    except (KeyError, TypeError, MaskError) as error:
        raise _damaged(run, "no layout or identity") from error


def _out_of_patience(run: RunDirectory, patience: int, generation: int) -> bool:
    return Patience(patience, (row for row in run.journal() if row["generation"] <= generation)).exhausted


def _judged(run: RunDirectory, state: SearchState) -> int:
    """Candidates that the finish has judged so far."""
    rows = run.judgements()
    return sum((row["generation"], row.get("purpose")) == (state.generation, FINISH) for row in rows)


def _workers(run: RunDirectory) -> PoolFigures | None:
    timings = run.timings()
    workers = timings[-1].get("workers") if timings else None
    return None if workers is None else PoolFigures.from_json(workers)


def _damaged(run: RunDirectory, what: str) -> RunError:
    return RunError(f"{run.store.full_name(DESCRIPTION)} is damaged ({what}); restore it.")
