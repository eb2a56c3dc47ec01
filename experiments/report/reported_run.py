"""A run as its report reads it: the saved run, its newest state, and its journal up to that state."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from engine.errors import DataError, RunError
from engine.run.directory import JOURNAL, RunDirectory
from engine.search.state import SearchState
from experiments.progress import Reporter
from experiments.runs.options import SearchOptions
from experiments.runs.problem import Problem
from experiments.runs.saved import SavedRun


@dataclass(frozen=True)
class ReportedRun:
    """What a report is made from.

    Attributes:
        saved: the run.
        state: of the newest checkpoint.
        rows: of the journal, up to the generation of the state.
    """

    saved: SavedRun
    state: SearchState
    rows: list[dict[str, Any]]

    @classmethod
    def open(
        cls, location: str | os.PathLike[str], model: str | None, data_dir: str | None, reporter: Reporter
    ) -> "ReportedRun":
        """Read a run; ``model`` and ``data_dir`` are the present places if they moved.

        Raises:
            RunError: there is no run, it has no generation behind it, its files are damaged, or its model or
                fitness images are not those of the search.
        """
        saved = SavedRun.open(location, model=model, data_dir=data_dir, reporter=reporter)
        state, rows = saved.newest.state, saved.run.journal()
        if not rows:
            raise RunError(f"{saved.run.store.full_name(JOURNAL)} has no rows to draw; restore it.")
        # A report without images names what is missing; other images than those of the search are refused.
        with suppress(DataError):
            _ = saved.images
        return cls(saved, state, [row for row in rows if row["generation"] <= state.generation])

    @property
    def run(self) -> RunDirectory:
        """The run directory."""
        return self.saved.run

    @property
    def options(self) -> SearchOptions:
        """Of the search; model and data where they are now."""
        return self.saved.options

    @property
    def problem(self) -> Problem:
        """The model and the filters that were searched."""
        return self.saved.problem

    @contextmanager
    def reading_journal(self) -> Iterator[None]:
        """Turn errors about missing figures into one that names the journal.

        Raises:
            RunError: a row lacks figures of BEST.
        """
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            journal = self.run.store.full_name(JOURNAL)
            raise RunError(f"{journal} is damaged: a row lacks figures of BEST ({error}); restore it.") from error
