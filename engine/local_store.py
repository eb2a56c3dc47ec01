"""A run directory on this machine's file system: renames, fsync, and flock, which ends with its process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine import atomic
from engine.errors import RunError
from engine.store import Hold, checked_name

LOCK = ".lock"
FOLDERS = ("checkpoints", "report")
"""The folders of a run. Any other beside them is the user's, or another run, which may be writing."""


class LocalStore:
    """See :class:`engine.store.RunStore`."""

    def __init__(self, path: Path):
        self.location = str(path)
        self._path = path

    def full_name(self, name: str) -> str:
        """See :class:`engine.store.RunStore`."""
        return str(self._path / checked_name(name))

    def check_place(self) -> None:
        """See :class:`engine.store.RunStore`."""
        if self._path.exists() and not self._path.is_dir():
            raise RunError(f"{self.location} is a file; name a new directory for the run.")

    def read(self, name: str) -> bytes:
        """See :class:`engine.store.RunStore`."""
        return Path(self.full_name(name)).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Beside it, synced, renamed, and the folder synced."""
        path = self._own(name)
        atomic.make_folder(path.parent)
        atomic.write_atomically(path, content)

    def append(self, name: str, line: bytes) -> None:
        """Synced; a part of a line that does not fit on the disk is cut off again."""
        atomic.append_durably(self._own(name), line)

    def read_log(self, name: str) -> bytes:
        """See :class:`engine.store.RunStore`."""
        try:
            return self.read(name)
        except FileNotFoundError:
            return b""

    def cut_log(self, name: str, size: int) -> None:
        """See :class:`engine.store.RunStore`."""
        atomic.truncate_durably(self._own(name), size)

    def names(self, folder: str) -> list[str]:
        """See :class:`engine.store.RunStore`."""
        path = Path(self.full_name(folder))
        return [f"{folder}/{name}" for name in sorted(os.listdir(path))] if path.is_dir() else []

    def exists(self, name: str) -> bool:
        """See :class:`engine.store.RunStore`."""
        return Path(self.full_name(name)).exists()

    def remove(self, name: str) -> None:
        """See :class:`engine.store.RunStore`."""
        self._own(name).unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Temporary files of :func:`engine.atomic.write_atomically`."""
        own = [self._path / name for name in FOLDERS]
        for folder in (self._path, *(each for each in own if not each.is_symlink())):
            if folder.is_dir():
                atomic.remove_leftovers(folder)

    @contextmanager
    def lock(self) -> Iterator[Hold]:
        """Against other processes of this machine; ends with the process at the latest."""
        atomic.make_folder(self._path)
        with open(self._own(LOCK), "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"another process is at work on {self.location}; wait for it or stop it first."
                ) from None
            yield _Flock()

    def _own(self, name: str) -> Path:
        """The path of a file that may be changed.

        Raises:
            RunError: it lies behind a symbolic link, so it may be no file of the run's.
        """
        path = Path(self.full_name(name))
        part = path
        while part != self._path:
            if part.is_symlink():
                raise RunError(
                    f"{part} is a symbolic link, through which nothing is written; put the file or folder itself "
                    "there."
                )
            part = part.parent
        return path


class _Flock:
    """The kernel's lock cannot pass to another process while this one lives."""

    def check(self) -> None:
        """See :class:`engine.store.Hold`."""
