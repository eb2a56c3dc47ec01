"""A run directory: ``run.json`` (the configuration), the journal, timings, judgements and checkpoints.

A generation's journal line is written before its checkpoint. Resuming cuts the journal back to the checkpoint, so
the two agree whenever the machine dies. The store (:mod:`engine.stores.base`) knows where the files are kept.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import RunError, RunStoreError
from engine.layout import Layout
from engine.run import checkpoint as checkpoints
from engine.run import initial_counts
from engine.run.codec import Checkpoint
from engine.run.journal import append_line, journal_row, read_rows, rewind
from engine.search.archive import Archive
from engine.search.state import SearchState
from engine.stores.base import Hold
from engine.stores.locations import open_store

FORMAT = 2
DESCRIPTION = "run.json"
JOURNAL = "journal.jsonl"
TIMINGS = "timings.jsonl"
JUDGEMENTS = "judgements.jsonl"


class RunDirectory:
    """The files of one run, at a path or a URL. The constructor reads and writes nothing.

    Raises:
        RunStoreError: the URL cannot be used.
    """

    def __init__(self, location: str | os.PathLike[str]):
        self.store = open_store(location)
        self.location = self.store.location
        self._last_evaluations = 0
        self._hold: Hold | None = None

    @classmethod
    def create(cls, location: str | os.PathLike[str], description: dict[str, Any]) -> "RunDirectory":
        """Begin a run without taking its lock; see :meth:`begin`."""
        run = cls(location)
        run.begin(description)
        return run

    @classmethod
    def open(cls, location: str | os.PathLike[str]) -> "RunDirectory":
        """Open an existing run.

        Raises:
            RunError: there is none.
        """
        run = cls(location)
        if not run.store.exists(DESCRIPTION):
            raise RunError(
                f"{run.location} holds no run (no {DESCRIPTION}); give the directory that 'evoprune search' "
                "wrote."
            )
        return run

    @contextmanager
    def locked(self, warn: Callable[[str], None] = lambda sentence: None) -> Iterator[None]:
        """Keep other processes from writing the run; create the directory if it is missing.

        ``warn`` receives a sentence if nothing keeps them out, because the file system has no locks.

        Raises:
            RunError: another process is at work on the run.
        """
        with self.store.lock(warn) as hold:
            self._hold = hold
            try:
                yield
            finally:
                self._hold = None

    def check_free(self, others: Iterable[str] = ()) -> None:
        """Refuse a location that cannot hold a new run; write nothing.

        ``others``: names of files that the run writes besides those of the engine.

        Raises:
            RunError: the location holds a run, or a file in the place of one of the run's, or is not a directory.
        """
        self.store.check_place()
        if any(
            self.store.exists(name) for name in (DESCRIPTION, JOURNAL, TIMINGS, JUDGEMENTS, checkpoints.FOLDER)
        ):
            raise RunError(
                f"{self.location} already holds a run; continue it with 'evoprune resume {self.location}', or "
                "name a new directory."
            )
        for name in (initial_counts.NAME, *others):
            if self.store.exists(name):
                raise RunError(
                    f"{self.store.full_name(name)} is in the way of a file of the run and is left untouched; "
                    "move it away, or name a new directory."
                )

    def begin(self, description: dict[str, Any]) -> None:
        """Write the description of a new run.

        Raises:
            RunError: see :meth:`check_free`.
            OSError: the directory cannot be written.
        """
        self.check_free()
        self.store.remove_leftovers()
        self.write_description(description)

    def begun(self) -> bool:
        """Whether the location holds a run; False too if its store does not answer."""
        try:
            return self.store.exists(DESCRIPTION)
        except (OSError, RunStoreError):
            return False

    def write_description(self, description: dict[str, Any]) -> None:
        """Replace ``run.json``."""
        content = json.dumps({"format": FORMAT, **description}, indent=2) + "\n"
        self.store.write(DESCRIPTION, content.encode())

    def description(self) -> dict[str, Any]:
        """The content of ``run.json``.

        Raises:
            RunError: the file is damaged or has another format number.
        """
        where = self.store.full_name(DESCRIPTION)
        try:
            entry = json.loads(self.store.read(DESCRIPTION))
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunError(f"{where} cannot be read ({reason}); make it readable and try again.") from error
        except (ValueError, RecursionError) as error:
            raise RunError(f"{where} is damaged ({error}); restore it.") from error
        if not isinstance(entry, dict) or entry.get("format") != FORMAT:
            raise RunError(f"{where} is not of format {FORMAT}, which this version reads.")
        return entry

    def record(self, state: SearchState, layout: Layout, identity: str, timing: dict[str, Any]) -> None:
        """Make a generation durable: its journal line, its timing, its checkpoint.

        Raises:
            RunError: another process has taken the run over; nothing was written.
            OSError, RunStoreError: the store is full or out of reach; the run resumes from its last checkpoint.
        """
        self._check_hold()
        append_line(self.store, JOURNAL, journal_row(state, self._last_evaluations))
        append_line(self.store, TIMINGS, {"generation": state.generation, **timing})
        self._check_hold()
        checkpoints.save(self.store, state, layout, identity)
        if state.generation == 0:
            initial_counts.remove(self.store)
        self._last_evaluations = state.evaluations

    def record_initial_counts(self, archive: Archive, identity: str) -> None:
        """Make the counts of generation 0 durable while it is under way.

        Raises:
            RunError: another process has taken the run over; nothing was written.
            OSError, RunStoreError: the store is full or out of reach.
        """
        self._check_hold()
        initial_counts.save(self.store, archive, identity)

    def initial_counts(self, layout: Layout, identity: str, warn: Callable[[str], None]) -> Archive:
        """The counts that :meth:`record_initial_counts` wrote; empty, with a warning, if they are unusable.

        Raises:
            RunError: ``run.json`` is damaged.
        """
        return initial_counts.load(self.store, layout, identity, warn, self._images())

    def latest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest whole checkpoint; None if the run died before its first.

        Raises:
            CheckpointError: all checkpoints are damaged.
            RunError: ``run.json`` is damaged.
        """
        return checkpoints.load_latest(self.store, warn, self._images())

    def rewind(self, checkpoint: Checkpoint | None, warn: Callable[[str], None]) -> None:
        """Cut journal and timings back to a checkpoint (None: to nothing) and finish interrupted removals.

        ``warn`` hears of rows of the journal that are lost. The search goes on without them.
        """
        self._check_hold()
        generation = -1 if checkpoint is None else checkpoint.state.generation
        lost = generation + 1 - len(rewind(self.store, JOURNAL, generation))
        if lost > 0:
            warn(
                f"{self.store.full_name(JOURNAL)} lacks {lost} of {generation + 1} generations; restore the "
                "file, or go on: the report and `patience` then know the other generations alone."
            )
        rewind(self.store, TIMINGS, generation)
        rewind(self.store, JUDGEMENTS, generation)
        self.store.remove_leftovers()
        if checkpoint is not None:
            checkpoints.remove_outdated(self.store, generation)
            initial_counts.remove(self.store)
        self._last_evaluations = 0 if checkpoint is None else checkpoint.state.evaluations

    def timings(self) -> list[dict[str, Any]]:
        """The rows of ``timings.jsonl``: seconds, backend and worker figures of each generation.

        Raises:
            RunError: the file is damaged.
        """
        return read_rows(self.store, TIMINGS)

    def journal(self) -> list[dict[str, Any]]:
        """The journal's rows.

        Raises:
            RunError: the journal is damaged.
        """
        rows = read_rows(self.store, JOURNAL)
        if not all(isinstance(row.get("best"), dict) for row in rows):
            raise RunError(f"{self.store.full_name(JOURNAL)} is damaged: a line has no BEST; restore it.")
        return rows

    def record_judgement(self, row: dict[str, Any]) -> None:
        """Make the judgement of a candidate durable; ``row`` holds the ``generation`` that it was made in.

        Raises:
            RunError: another process has taken the run over; nothing was written.
            OSError, RunStoreError: the store is full or out of reach.
        """
        self._check_hold()
        append_line(self.store, JUDGEMENTS, row)

    def judgements(self) -> list[dict[str, Any]]:
        """The rows that :meth:`record_judgement` wrote.

        Raises:
            RunError: the file is damaged.
        """
        return read_rows(self.store, JUDGEMENTS)

    def keep(self, name: str, content: bytes) -> None:
        """Create or replace a file beside those of the search.

        Raises:
            RunError: another process has taken the run over; nothing was written.
            OSError, RunStoreError: the store is full or out of reach.
        """
        self._check_hold()
        self.store.write(name, content)

    def _images(self) -> float:
        """Number of images that every mask is evaluated on; inf if ``run.json`` does not say."""
        images = self.description().get("images")
        return images if type(images) is int else math.inf

    def _check_hold(self) -> None:
        if self._hold is not None:
            self._hold.check()
