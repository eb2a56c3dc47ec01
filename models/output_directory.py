"""Output directories that appear complete or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from models.errors import StoreError

_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.ENOTTY}
"""Answers of file systems that cannot sync a file. Any other error means that a write was lost."""


def check_target(directory: Path) -> None:
    """Refuse a directory that a new model must not be written to.

    Raises:
        StoreError: it exists and is not an empty directory, or cannot be created.
    """
    try:
        # A link to nothing occupies its name too.
        occupied = os.path.lexists(directory) and (not directory.is_dir() or any(directory.iterdir()))
        if occupied:
            raise StoreError(
                f"{directory} exists already and is left untouched; name a new directory or remove it first."
            )
        directory.parent.mkdir(parents=True, exist_ok=True)
        # Fail now rather than after hours of training.
        with tempfile.TemporaryFile(dir=directory if directory.exists() else directory.parent):
            pass
    except OSError as error:
        raise StoreError(f"cannot use {directory} as output directory: {error.strerror}.") from error


def write(directory: Path, files: Mapping[str, bytes], check: Callable[[Path], None] | None = None) -> None:
    """Write a directory; it appears complete or not at all.

    A directory that exists and is empty (it may be a mount point) is filled, in the order of ``files``.

    Args:
        directory: its parents are created.
        files: content by file name.
        check: called with the folder of the written files before it becomes final; raises to discard the files.

    Raises:
        StoreError: the directory is occupied.
        OSError: the disk is full or not writable; nothing is left behind.
    """
    check_target(directory)
    if directory.exists():
        try:
            for name, content in files.items():
                _write_synced(directory / name, content, directory / name)
            if check is not None:
                check(directory)
        except BaseException:
            for name in files:
                (directory / name).unlink(missing_ok=True)
            raise
        return
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        for name, content in files.items():
            _write_synced(temporary / name, content, directory / name)
        if check is not None:
            check(temporary)
        temporary.chmod(0o755)
        os.replace(temporary, directory)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write_synced(path: Path, content: bytes, final: Path) -> None:
    try:
        with open(path, "xb") as file:
            file.write(content)
            file.flush()
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in _CANNOT_SYNC:
                    raise
    except OSError as error:
        # Python does not name the file of a failed write, and the user knows no temporary file.
        error.filename = str(final)
        raise
