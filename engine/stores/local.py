"""A store on this machine's file system: rename, fsync, and a lock that the kernel releases with its process."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import RunError
from engine.stores import atomic
from engine.stores.base import Hold, checked_name

LOCK = ".lock"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}
"""Answers of ``flock`` on file systems without locks: NFS without its lock service, and some in user space."""
FOLDERS = ("checkpoints", "report")
"""The folders of a run. Other folders belong to the user, or to other runs that may be writing."""


class LocalStore:
    """See :class:`engine.stores.base.RunStore`."""

    def __init__(self, path: Path):
        self.location = str(path)
        self._path = path

    def full_name(self, name: str) -> str:
        """See :class:`engine.stores.base.RunStore`."""
        return str(self._path / checked_name(name))

    def check_place(self) -> None:
        """See :class:`engine.stores.base.RunStore`."""
        if os.path.lexists(self._path) and not self._path.is_dir():
            kind = "a file" if self._path.exists() else "a link to nothing"
            raise RunError(f"{self.location} is {kind}; name a new directory for the run.")
        # A refusal now costs less than one after the artifacts of a run are computed.
        atomic.check_writable(self._path)

    def read(self, name: str) -> bytes:
        """See :class:`engine.stores.base.RunStore`."""
        return Path(self.full_name(name)).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """See :func:`engine.stores.atomic.write_atomically`."""
        path = self._own(name)
        atomic.make_folder(path.parent)
        atomic.write_atomically(path, content)

    def append(self, name: str, line: bytes) -> None:
        """See :func:`engine.stores.atomic.append_durably`."""
        atomic.append_durably(self._own(name), line)

    def read_log(self, name: str) -> bytes:
        """See :class:`engine.stores.base.RunStore`."""
        try:
            return self.read(name)
        except FileNotFoundError:
            return b""

    def cut_log(self, name: str, size: int) -> None:
        """See :class:`engine.stores.base.RunStore`."""
        atomic.truncate_durably(self._own(name), size)

    def names(self, folder: str) -> list[str]:
        """See :class:`engine.stores.base.RunStore`."""
        path = Path(self.full_name(folder))
        return [f"{folder}/{name}" for name in sorted(os.listdir(path))] if path.is_dir() else []

    def exists(self, name: str) -> bool:
        """See :class:`engine.stores.base.RunStore`."""
        return Path(self.full_name(name)).exists()

    def remove(self, name: str) -> None:
        """See :class:`engine.stores.base.RunStore`."""
        self._own(name).unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove temporary files of :func:`engine.stores.atomic.write_atomically`."""
        own = [self._path / name for name in FOLDERS]
        for folder in (self._path, *(each for each in own if not each.is_symlink())):
            if folder.is_dir():
                atomic.remove_leftovers(folder)

    @contextmanager
    def lock(self, warn: Callable[[str], None]) -> Iterator[Hold]:
        """Lock out other processes of this machine; the lock ends with this process at the latest.

        If the folder is new and a block that fails leaves nothing in it, the folder goes.
        """
        new = not self._path.exists()
        try:
            atomic.make_folder(self._path)
            with self._acquired(warn):
                yield _Held()
        except BaseException:
            if new:
                with suppress(OSError):
                    self._remove_empty()
            raise

    def _acquired(self, warn: Callable[[str], None]) -> AbstractContextManager[object]:
        path = self._own(LOCK)
        new = not path.exists()
        # The soft fallback, for file systems without flock, would outlive a killed process.
        lock = FileLock(path, blocking=False, fallback_to_soft=False)
        try:
            return lock.acquire()
        except Timeout:
            raise RunError(
                f"another process is at work on {self.location}; wait for it or stop it first."
            ) from None
        except OSError as error:
            # Only an error about the file's name has the name: the file could not be opened.
            if error.filename is not None or error.errno not in _NO_LOCKS:
                error.filename = error.filename or str(path)
                raise
            if new:
                path.unlink(missing_ok=True)
            warn(
                f"the file system of {self.location} has no locks ({error.strerror}), so nothing keeps a second "
                "driver out; run one at a time."
            )
            return nullcontext()

    def _remove_empty(self) -> None:
        if set(os.listdir(self._path)) <= {LOCK}:
            self.remove(LOCK)
            self._path.rmdir()

    def _own(self, name: str) -> Path:
        """The path of a file that the run may change.

        Raises:
            RunError: the path contains a symbolic link, so the file may lie outside the run.
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


class _Held:
    """The kernel's lock cannot pass to another process while this process lives."""

    def check(self) -> None:
        """See :class:`engine.stores.base.Hold`."""
