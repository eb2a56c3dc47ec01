"""What a run directory asks of the place it is kept in; names are relative, their parts joined by ``/``.

``docs/run-directories.md`` says which store keeps which promise, and what it cannot promise.
"""

import re
from contextlib import AbstractContextManager
from typing import Protocol

_PART = re.compile(r"\.?[A-Za-z0-9_-][A-Za-z0-9._-]*")


class Hold(Protocol):
    """The right to write a run, while its lock is held."""

    def check(self) -> None:
        """Make sure that it has not passed to another process.

        Raises:
            RunError: it has; nothing more may be written.
        """
        ...


class RunStore(Protocol):
    """The files of one run. A reader never sees half of what :meth:`write` writes.

    Every method may raise OSError (local) or :class:`engine.errors.RunStoreError` (elsewhere) where the
    store cannot be reached, is full or refuses.
    """

    location: str
    """What the user calls the run: a path or a URL."""

    def full_name(self, name: str) -> str:
        """``name`` with its location, for sentences."""
        ...

    def check_place(self) -> None:
        """Refuse a location that cannot hold files; writes nothing.

        Raises:
            RunError: it is something else.
        """
        ...

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file: all of it, durably, or nothing."""
        ...

    def append(self, name: str, line: bytes) -> None:
        """Add a line, which ends with a line break, to a log, durably."""
        ...

    def read_log(self, name: str) -> bytes:
        """All lines of a log; empty where there is none. The last line may be torn."""
        ...

    def cut_log(self, name: str, size: int) -> None:
        """Keep the first ``size`` bytes of a log, which is at least as long."""
        ...

    def names(self, folder: str) -> list[str]:
        """The files right in ``folder``, each as ``folder/name``; empty where there is none."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def remove_leftovers(self) -> None:
        """Remove what a process that was killed while writing has left half done."""
        ...

    def lock(self) -> AbstractContextManager[Hold]:
        """Keep other processes from writing the run; makes the place if need be.

        Raises:
            RunError: another process is at work on it.
        """
        ...


def checked_name(name: str) -> str:
    """``name`` if it stays inside the run.

    Raises:
        ValueError: it is empty, absolute, climbs with ``..`` or has characters that no name of ours has.
    """
    if not all(_PART.fullmatch(part) for part in name.split("/")):
        raise ValueError(f"{name!r} is no name of a file in a run directory")
    return name
