"""Writing files so that a reader, or a machine that dies, never sees half of one."""

import contextlib
import os
import re
import secrets
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside ``path``, sync to disk, rename over it, sync the folder.

    Raises:
        OSError: the disk is full or not writable; ``path`` is as it was and nothing is left behind.
    """
    # Not ``tempfile``: its files are readable by their owner only, and would stay so under the final name.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        # A full disk shows when writing, where Python does not know the name.
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = str(path)
        raise
    sync_folder(path.parent)


def append_durably(path: Path, content: bytes) -> None:
    """Append to a file, made if missing, and sync it to disk.

    Raises:
        OSError: the disk is full; the part that was written is cut off again.
    """
    with open(path, "ab", buffering=0, opener=_no_link) as file:
        size = file.tell()
        try:
            view = memoryview(content)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(size)
            error.filename = str(path)
            raise
    if size == 0:
        sync_folder(path.parent)


def truncate_durably(path: Path, size: int) -> None:
    """Keep the first ``size`` bytes of a file and sync it to disk."""
    with open(path, "r+b", opener=_no_link) as file:
        file.truncate(size)
        os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably; it may exist."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove what :func:`write_atomically` leaves in ``folder`` when its process is killed, and nothing else."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_link(path: str, flags: int) -> int:
    # A run directory from elsewhere could name any file of the user's by a link.
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
