"""Durable writes on a local file system: no reader and no crash ever sees half a file."""

import contextlib
import errno
import os
import re
import secrets
import tempfile
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.ENOTTY}
"""Answers of file systems that cannot sync a file or a folder. Any other error means that a write was lost."""
_CANNOT_OPEN = {errno.EACCES, errno.EPERM, errno.EISDIR, *_CANNOT_SYNC}
"""Answers of file systems that do not open a folder as a file."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a temporary file, sync it, rename it to ``path``, sync the folder.

    Raises:
        OSError: the disk is full or not writable; ``path`` is unchanged and no temporary file is left.
    """
    # Not ``tempfile``: only the owner could read the final file.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            _sync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        # Python does not name the file of a failed write.
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = str(path)
        raise
    sync_folder(path.parent)


def append_durably(path: Path, content: bytes) -> None:
    """Append to a file, create it if missing, and sync it to disk.

    Raises:
        OSError: the disk is full; the file has its old length again.
    """
    with open(path, "ab", buffering=0, opener=_no_link) as file:
        size = file.tell()
        try:
            view = memoryview(content)
            while view:
                view = view[file.write(view) :]
            _sync(file.fileno())
        except OSError as error:
            # A disk that no longer answers fails again. The first error tells more.
            with contextlib.suppress(OSError):
                file.truncate(size)
            error.filename = str(path)
            raise
    if size == 0:
        sync_folder(path.parent)


def truncate_durably(path: Path, size: int) -> None:
    """Keep the first ``size`` bytes of a file and sync it to disk."""
    try:
        with open(path, "r+b", opener=_no_link) as file:
            file.truncate(size)
            _sync(file.fileno())
    except OSError as error:
        error.filename = str(path)
        raise


def check_writable(folder: Path) -> None:
    """Try whether files can be made in ``folder``, or in the nearest parent that exists; leave none.

    Raises:
        OSError: no file can be made there.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        # Python names the temporary file.
        error.filename = str(folder)
        raise


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, durably; the folder may exist."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that a killed :func:`write_atomically` left in ``folder``, and nothing else."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in ``folder`` durable, if the file system can.

    Raises:
        OSError: the disk failed.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno in _CANNOT_OPEN:
            return
        raise
    try:
        _sync(descriptor)
    except OSError as error:
        error.filename = str(folder)
        raise
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    """Wait until a file or folder is on the disk; return at once where the file system cannot tell."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def _no_link(path: str, flags: int) -> int:
    # A link in a run directory from elsewhere could point to any file of the user.
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
