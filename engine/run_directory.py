"""A run directory: ``run.json`` (what was asked), ``journal.jsonl``, ``timings.jsonl`` and checkpoints.

The journal's line is written before the checkpoint of the same generation; resuming cuts the journal back
to the checkpoint, so the two agree whenever the machine dies. Where the files are kept is the business of
the store (:mod:`engine.store`).
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from engine import checkpoint as checkpoints
from engine import founding
from engine.archive import Archive
from engine.checkpoint import Checkpoint
from engine.errors import RunError
from engine.journal import append_line, journal_row, read_rows, rewind
from engine.layout import Layout
from engine.locations import open_store
from engine.state import SearchState
from engine.store import Hold

FORMAT = 1
DESCRIPTION = "run.json"
JOURNAL = "journal.jsonl"
TIMINGS = "timings.jsonl"


class RunDirectory:
    """The files of one run, at a path or a URL; nothing is read or written before a method is called.

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
        """Begin a run that no other process can know of yet; see :meth:`begin`."""
        run = cls(location)
        run.begin(description)
        return run

    @classmethod
    def open(cls, location: str | os.PathLike[str]) -> "RunDirectory":
        """An existing run.

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
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing the run; makes its place if need be.

        Raises:
            RunError: another process is at work on it.
        """
        with self.store.lock() as hold:
            self._hold = hold
            try:
                yield
            finally:
                self._hold = None

    def check_free(self) -> None:
        """Refuse a place that a new run must not be written to; writes nothing.

        Raises:
            RunError: it holds a run, or is not a directory.
        """
        self.store.check_place()
        if any(self.store.exists(name) for name in (DESCRIPTION, JOURNAL, TIMINGS, checkpoints.FOLDER)):
            raise RunError(
                f"{self.location} already holds a run; continue it with 'evoprune resume {self.location}', or "
                "name a new directory."
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

    def write_description(self, description: dict[str, Any]) -> None:
        """Replace ``run.json``."""
        content = json.dumps({"format": FORMAT, **description}, indent=2) + "\n"
        self.store.write(DESCRIPTION, content.encode())

    def description(self) -> dict[str, Any]:
        """The content of ``run.json``.

        Raises:
            RunError: it is damaged or of another version.
        """
        where = self.store.full_name(DESCRIPTION)
        try:
            entry = json.loads(self.store.read(DESCRIPTION))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{where} is damaged ({error}); restore it.") from error
        if not isinstance(entry, dict) or entry.get("format") != FORMAT:
            raise RunError(f"{where} is not of format {FORMAT}, which this version reads.")
        return entry

    def record(self, state: SearchState, layout: Layout, identity: str, timing: dict[str, Any]) -> None:
        """Make a generation durable: its journal line, its timing, its checkpoint.

        Raises:
            RunError: another process has taken the run over; nothing was written.
            OSError, RunStoreError: the store is full or out of reach; the run can be resumed from the
                checkpoint before.
        """
        self._check_hold()
        append_line(self.store, JOURNAL, journal_row(state, self._last_evaluations))
        append_line(self.store, TIMINGS, {"generation": state.generation, **timing})
        self._check_hold()
        checkpoints.save(self.store, state, layout, identity)
        if state.generation == 0:
            founding.remove(self.store)
        self._last_evaluations = state.evaluations

    def record_founding(self, archive: Archive, identity: str) -> None:
        """Make durable what generation 0 has counted so far.

        Raises:
            RunError: another process has taken the run over; nothing was written.
            OSError, RunStoreError: the store is full or out of reach.
        """
        self._check_hold()
        founding.save(self.store, archive, identity)

    def founding(self, layout: Layout, identity: str, warn: Callable[[str], None]) -> Archive:
        """What :meth:`record_founding` wrote last; empty where that cannot be used, of which ``warn`` is told.

        Raises:
            RunError: ``run.json`` is damaged.
        """
        return founding.load(self.store, layout, identity, warn, self._images())

    def latest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest whole checkpoint; None where the run died before its first.

        Raises:
            CheckpointError: all checkpoints are damaged.
            RunError: ``run.json`` is damaged.
        """
        return checkpoints.load_latest(self.store, warn, self._images())

    def rewind(self, checkpoint: Checkpoint | None) -> None:
        """Make the rest agree with the state from which the search continues, and finish what was cut short."""
        self._check_hold()
        generation = -1 if checkpoint is None else checkpoint.state.generation
        rewind(self.store, JOURNAL, generation)
        rewind(self.store, TIMINGS, generation)
        self.store.remove_leftovers()
        if checkpoint is not None:
            checkpoints.remove_outdated(self.store, generation)
            founding.remove(self.store)
        self._last_evaluations = 0 if checkpoint is None else checkpoint.state.evaluations

    def timings(self) -> list[dict[str, Any]]:
        """Seconds of each generation, its backend and how its workers did.

        Raises:
            RunError: they are damaged.
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

    def _images(self) -> float:
        """What the description says of the images that every mask is evaluated on; inf where it does not."""
        images = self.description().get("images")
        return images if type(images) is int else math.inf

    def _check_hold(self) -> None:
        if self._hold is not None:
            self._hold.check()


def identity_of(configuration: dict[str, Any]) -> str:
    """A name for everything that decides a search's course: SHA-256 of its canonical JSON."""
    return hashlib.sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()
