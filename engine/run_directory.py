"""A run directory: ``run.json`` (what was asked), ``journal.jsonl``, ``timings.jsonl`` and checkpoints.

The journal's line is written before the checkpoint of the same generation; resuming cuts the journal back
to the checkpoint, so the two agree whenever the machine dies.
"""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import checkpoint as checkpoints
from engine.atomic import remove_leftovers, sync_folder, write_atomically
from engine.checkpoint import Checkpoint
from engine.errors import RunError
from engine.journal import append_line, journal_row, read_rows, rewind
from engine.layout import Layout
from engine.state import SearchState

FORMAT = 1


class RunDirectory:
    """The files of one run."""

    def __init__(self, path: Path):
        self.path = path
        self.description_path = path / "run.json"
        self.journal_path = path / "journal.jsonl"
        self.timings_path = path / "timings.jsonl"
        self.checkpoint_folder = path / "checkpoints"
        self._last_evaluations = 0

    @classmethod
    def check_free(cls, path: Path) -> None:
        """Refuse a directory that a new run must not be written to.

        Raises:
            RunError: it holds a run, or is not a directory.
        """
        run = cls(path)
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file; name a new directory for the run.")
        taken = [run.description_path, run.journal_path, run.timings_path, run.checkpoint_folder]
        if any(part.exists() for part in taken):
            raise RunError(
                f"{path} already holds a run; continue it with 'evoprune resume {path}', or name a new directory."
            )

    @classmethod
    def create(cls, path: Path, description: dict[str, Any]) -> "RunDirectory":
        """Begin a run.

        Raises:
            RunError: see :meth:`check_free`.
            OSError: the directory cannot be written.
        """
        cls.check_free(path)
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        run.write_description(description)
        return run

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """An existing run.

        Raises:
            RunError: the directory holds none.
        """
        run = cls(path)
        if not run.description_path.is_file():
            raise RunError(f"{path} holds no run (no run.json); give the directory that 'evoprune search' wrote.")
        return run

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this machine from writing the run; ends with the process at the latest.

        Raises:
            RunError: another process is at work on it.
        """
        with open(self.path / ".lock", "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"another process is at work on {self.path}; wait for it or stop it first."
                ) from None
            yield

    def write_description(self, description: dict[str, Any]) -> None:
        """Replace ``run.json``."""
        content = json.dumps({"format": FORMAT, **description}, indent=2) + "\n"
        write_atomically(self.description_path, content.encode())

    def description(self) -> dict[str, Any]:
        """The content of ``run.json``.

        Raises:
            RunError: it is damaged or of another version.
        """
        try:
            entry = json.loads(self.description_path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.description_path} is damaged ({error}); restore it.") from error
        if not isinstance(entry, dict) or entry.get("format") != FORMAT:
            raise RunError(f"{self.description_path} is not of format {FORMAT}, which this version reads.")
        return entry

    def record(self, state: SearchState, layout: Layout, identity: str, timing: dict[str, Any]) -> None:
        """Make a generation durable: its journal line, its timing, its checkpoint.

        Raises:
            OSError: the disk is full; the run can be resumed from the checkpoint before.
        """
        append_line(self.journal_path, journal_row(state, self._last_evaluations))
        append_line(self.timings_path, {"generation": state.generation, **timing})
        checkpoints.save(self.checkpoint_folder, state, layout, identity)
        if state.generation == 0:
            sync_folder(self.path)
        self._last_evaluations = state.evaluations

    def latest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest whole checkpoint; None where the run died before its first.

        Raises:
            CheckpointError: all are damaged.
        """
        return checkpoints.load_latest(self.checkpoint_folder, warn)

    def rewind(self, checkpoint: Checkpoint | None) -> None:
        """Make the journal agree with the state from which the search continues."""
        generation = -1 if checkpoint is None else checkpoint.state.generation
        rewind(self.journal_path, generation)
        rewind(self.timings_path, generation)
        for folder in (self.path, self.checkpoint_folder):
            remove_leftovers(folder)
        self._last_evaluations = 0 if checkpoint is None else checkpoint.state.evaluations

    def journal(self) -> list[dict[str, Any]]:
        """The journal's rows.

        Raises:
            RunError: the journal is damaged.
        """
        rows = read_rows(self.journal_path)
        if not all(isinstance(row.get("best"), dict) for row in rows):
            raise RunError(f"{self.journal_path} is damaged: a line has no BEST; restore it.")
        return rows


def identity_of(configuration: dict[str, Any]) -> str:
    """A name for everything that decides a search's course: SHA-256 of its canonical JSON."""
    return hashlib.sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()
