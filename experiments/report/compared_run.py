"""A run as a comparison of runs reads it: from its files alone, and from its model if the model is at hand."""

from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import RunError
from engine.run.directory import JOURNAL
from engine.search.state import SearchState
from experiments.progress import Reporter
from experiments.report.figures.run_comparison import Course, course_of
from experiments.report.results.findings import last_change
from experiments.report.results.trade_off import TradeOff
from experiments.runs.finish.result import Result, read_result
from experiments.runs.held_out import HeldOut, known_held_out
from experiments.runs.options import SearchOptions
from experiments.runs.patience import Patience
from experiments.runs.saved import SavedRun
from experiments.runs.watching.status import SearchStatus
from models.errors import NetworkError

_DIGITS = 12
"""Characters of a digest that are enough to tell models apart."""


@dataclass(frozen=True)
class ComparedRun:
    """A run, called ``label`` in figures and tables.

    ``trade_off`` is None where the model is not at hand; ``why_not`` then says why.
    """

    label: str
    location: str
    options: SearchOptions
    description: dict[str, Any]
    state: SearchState
    course: Course
    images: int | None
    seconds: float
    best_since: int
    out_of_patience: bool
    held_out: HeldOut | None
    result: Result | None
    trade_off: TradeOff | None
    why_not: str | None

    @classmethod
    def read(cls, label: str, location: str, model: str | None, reporter: Reporter) -> "ComparedRun":
        """Read a run.

        Raises:
            RunError: no run there, it has no generation behind it, or its files are damaged.
            CheckpointError: every checkpoint is damaged.
        """
        saved = SavedRun.open(location, model=model, reporter=reporter)
        run, state, options, description = saved.run, saved.newest.state, saved.options, saved.description
        rows = [row for row in run.journal() if row["generation"] <= state.generation]
        timings = [row for row in run.timings() if row["generation"] <= state.generation]
        images = description.get("images", options.data.images)
        if not rows or not (images is None or isinstance(images, int)):
            raise RunError(f"{run.store.full_name(JOURNAL)} or run.json is damaged; restore them.")
        try:
            course = course_of(label, rows, images)
            seconds = sum(float(row["seconds"]) for row in timings)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"a log of {run.location} is damaged: a row lacks figures ({error}); restore it."
            ) from error
        trade_off, why_not = None, None
        try:
            trade_off = TradeOff.of(state, saved.problem.genome)
        except (NetworkError, RunError) as error:
            why_not = f"The trade-off of run {label} is left out: {error}"
        held_out = known_held_out(run.store, state.best.individual.mask)
        result = read_result(run, state, saved.newest.identity) if options.finish else None
        since, exhausted = last_change(rows) or 0, Patience(options.patience, rows).exhausted
        return cls(
            label, run.location, options, description, state, course, images, seconds, since, exhausted, held_out,
            result, trade_off, why_not,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Figures of the run as plain values."""
        state, held_out = self.state, self.held_out
        drop = result_drop = None
        if held_out is not None and held_out.original_correct:
            original = held_out.original_correct
            drop = 100 * (original - held_out.correct) / original
            if held_out.result_correct is not None and self.result is not None:
                result_drop = held_out.drop
        asked = self.options.generations, self.options.objective
        status = SearchStatus.of(
            state,
            *asked,
            out_of_patience=self.out_of_patience,
            finishes=self.options.finish,
            result=self.result,
        )
        entry = status.to_json()
        return {
            "label": self.label,
            "run": self.location,
            **{name: entry[name] for name in ("generation", "generations", "complete", "evaluations", "stopped")},
            "best": entry["best"],
            "best_since": self.best_since,
            "held_out_accuracy_drop": drop,
            "result": None if self.result is None else self.result.to_json(),
            "result_held_out_accuracy_drop": result_drop,
            "images": self.images,
            "budget": None if self.images is None else self.images * state.evaluations,
            "seconds": round(self.seconds, 2),
        }

    def settings(self) -> dict[str, Any]:
        """Everything that the user chose, and the backend, by the name of the option."""
        flat = asdict(self.options)
        values = {**flat.pop("settings"), **flat.pop("data"), **flat}
        backend = self.description.get("backend")
        return {
            **values,
            "model_digest": str(self.description.get("model_digest"))[:_DIGITS],
            "backend": backend.get("name") if isinstance(backend, dict) else backend,
        }
