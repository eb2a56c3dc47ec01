"""What a comparison reads of one run, from its files alone, and from its model where that is at hand."""

from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import RunError
from engine.run_directory import JOURNAL, RunDirectory
from engine.state import SearchState
from experiments.held_out import known_held_out
from experiments.pages.comparison_plots import Course, course_of
from experiments.pages.findings import last_change
from experiments.pages.trade_off import TradeOff
from experiments.patience import Patience
from experiments.progress import Reporter
from experiments.search_options import SearchOptions
from experiments.searched_model import load_searched_model
from experiments.status import summary
from fitness.genome import Genome
from models.errors import NetworkError

_DIGITS = 12
"""Of a digest, enough to tell models apart."""


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
    held_out: dict[str, Any] | None
    trade_off: TradeOff | None
    why_not: str | None

    @classmethod
    def read(cls, label: str, location: str, model: str | None, reporter: Reporter) -> "ComparedRun":
        """Read a run.

        Raises:
            RunError: no run there, it has no generation behind it, or its files are damaged.
            CheckpointError: every checkpoint is damaged.
        """
        run = RunDirectory.open(location)
        description = run.description()
        options = SearchOptions.from_json(description.get("configuration"))
        checkpoint = run.latest(reporter.message)
        if checkpoint is None:
            raise RunError(
                f"{run.location} has nothing to compare yet; run 'evoprune resume {run.location}' first."
            )
        state = checkpoint.state
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
            searched = load_searched_model(run, checkpoint, model or options.model, options.prune)
            trade_off = TradeOff.of(state, Genome.of(searched.network, options.prune))
        except (NetworkError, RunError) as error:
            why_not = f"The trade-off of run {label} is left out: {error}"
        held_out = known_held_out(run.store, state.best.individual.mask)
        since, exhausted = last_change(rows) or 0, Patience(options.patience, rows).exhausted
        return cls(
            label, run.location, options, description, state, course, images, seconds, since, exhausted, held_out,
            trade_off, why_not,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Its figures as plain values."""
        state, held_out = self.state, self.held_out
        drop = None
        if held_out is not None and held_out["original_correct"]:
            original = held_out["original_correct"]
            drop = 100 * (original - held_out["correct"]) / original
        asked = self.options.generations, self.options.objective
        entry = summary(state, *asked, out_of_patience=self.out_of_patience)
        return {
            "label": self.label,
            "run": self.location,
            **{name: entry[name] for name in ("generation", "generations", "complete", "evaluations", "stopped")},
            "best": entry["best"],
            "best_since": self.best_since,
            "held_out_accuracy_drop": drop,
            "images": self.images,
            "budget": None if self.images is None else self.images * state.evaluations,
            "seconds": round(self.seconds, 2),
        }

    def settings(self) -> dict[str, Any]:
        """Everything that a user chose, and where it ran, by the name of its option."""
        flat = asdict(self.options)
        values = {**flat.pop("settings"), **flat.pop("data"), **flat}
        backend = self.description.get("backend")
        return {
            **values,
            "model_digest": str(self.description.get("model_digest"))[:_DIGITS],
            "backend": backend.get("name") if isinstance(backend, dict) else backend,
        }
