"""The contract of a store. File names are relative to the run, their parts joined by ``/``.

``docs/run-directories.md`` states the guarantees of each store and their limits.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

_PART = re.compile(r"\.?[A-Za-z0-9_-][A-Za-z0-9._-]*")


class Hold(Protocol):
    """The right to write a run while its lock is held."""

    def check(self) -> None:
        """Make sure that no other process holds the run.

        Raises:
            RunError: another process holds the run, and this process must not write.
        """
        ...


class RunStore(Protocol):
    """The files of one run. A reader never sees a half-written file.

    Every method may raise OSError (local store) or :class:`engine.errors.RunStoreError` (other stores) if the
    store cannot be reached, is full or denies access.
    """

    location: str
    """The user's name of the run: a path or a URL."""

    def full_name(self, name: str) -> str:
        """``name`` with the location of the run, for messages."""
        ...

    def check_place(self) -> None:
        """Refuse a location that cannot hold files; leave nothing there.

        Raises:
            RunError: the location is a file, or a link to nothing.
        """
        ...

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: there is no such file.
        """
        ...

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file, durably: all of it or nothing."""
        ...

    def append(self, name: str, line: bytes) -> None:
        """Append a line, which ends with a line break, to a log, durably."""
        ...

    def read_log(self, name: str) -> bytes:
        """All lines of a log; empty if there is no log. A crash may have cut the last line short."""
        ...

    def cut_log(self, name: str, size: int) -> None:
        """Keep the first ``size`` bytes of a log that is at least as long."""
        ...

    def names(self, folder: str) -> list[str]:
        """The files directly in ``folder``, each as ``folder/name``; empty if there is no folder."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        ...

    def remove_leftovers(self) -> None:
        """Remove temporary files that a killed process left."""
        ...

    def lock(self, warn: Callable[[str], None]) -> AbstractContextManager[Hold]:
        """Keep other processes from writing the run; create its location if missing.

        Args:
            warn: receives a sentence if the place has no locks, so that nothing keeps other processes out.

        Raises:
            RunError: another process is at work on the run.
        """
        ...


def checked_name(name: str) -> str:
    """``name``, if it stays inside the run.

    Raises:
        ValueError: the name is empty, absolute, contains ``..`` or has an unexpected character.
    """
    if not all(_PART.fullmatch(part) for part in name.split("/")):
        raise ValueError(f"{name!r} is not the name of a file in a run directory")
    return name
