"""Output directories that appear complete or not at all."""

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from models.errors import StoreError

_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.ENOTTY}
"""Answers of file systems that cannot sync a file or a folder. Any other error means that a write was lost."""


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
        written: list[Path] = []
        try:
            for name, content in files.items():
                _write_synced(directory / name, content, directory / name)
                written.append(directory / name)
            if check is not None:
                check(directory)
            _sync_folder(directory)
        except BaseException:
            # Another process may write here too: files that it made stay.
            for path in written:
                path.unlink(missing_ok=True)
            raise
        return
    # Not ``tempfile``: only the owner could read the final directory.
    temporary = directory.with_name(f".{directory.name}.{secrets.token_hex(6)}")
    temporary.mkdir()
    try:
        for name, content in files.items():
            _write_synced(temporary / name, content, directory / name)
        if check is not None:
            check(temporary)
        _sync_folder(temporary)
        os.replace(temporary, directory)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_folder(directory.parent)


def _write_synced(path: Path, content: bytes, final: Path) -> None:
    made = False
    try:
        with open(path, "xb") as file:
            made = True
            file.write(content)
            file.flush()
            _sync(file.fileno())
    except BaseException as error:
        if made:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            # Python does not name the file of a failed write, and the user knows no temporary file.
            error.filename = str(final)
        raise


def _sync_folder(folder: Path) -> None:
    """Make new names in ``folder`` durable, if the file system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        # A folder that may be written to but not listed.
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    """Wait until a file or folder is on the disk; return at once where the file system cannot tell."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
