"""A folder for the sockets and logs of a private Ray: short, writable, with room, and removed afterwards.

Ray puts Unix sockets deep below its folder, and no kernel takes a socket with a path of more than 107 bytes.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.errors import BackendError

VARIABLES = ("RAY_TMPDIR", "TMPDIR")
"""Environment variables that name a folder for temporary files, the first to be asked first."""

ELSEWHERE = ("/tmp", "/var/tmp", "/dev/shm")

LEAST_BYTES = 64_000_000
"""Least free space. Ray's logs take less; what its object store does not hold in memory goes here too."""

_LONGEST = "session_2026-11-30_23-59-59_123456_4194304/sockets/plasma_store.1"
"""The longest path of a socket below Ray's folder, in the form that Ray gives it."""


@contextmanager
def ray_folder(tell: Callable[[str], None]) -> Iterator[str]:
    """An empty folder for Ray, which is removed with the block; ``tell`` hears why a variable is not followed.

    Raises:
        BackendError: no folder is usable.
    """
    folder = _first_usable(tell)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _first_usable(tell: Callable[[str], None]) -> str:
    faults = []
    named = [(f"{name}={os.environ[name]}", os.environ[name]) for name in VARIABLES if os.environ.get(name)]
    for name, parent in [*named, *((parent, parent) for parent in ELSEWHERE)]:
        try:
            folder = _made_in(parent)
        except OSError as error:
            faults.append(f"{name}: {error.strerror or error}")
            continue
        if faults:
            tell(f"the files of the local Ray go to {folder}, as others cannot hold them ({'; '.join(faults)}).")
        return folder
    raise BackendError(
        f"a local Ray finds no folder for its files ({'; '.join(faults)}); set {VARIABLES[0]} to a folder of a "
        f"short name that can be written and has {LEAST_BYTES // 1_000_000} MB free, or use `backend` local."
    )


def _made_in(parent: str) -> str:
    """A new folder.

    Raises:
        OSError: the folder cannot be made, or cannot hold what Ray puts there.
    """
    if not os.path.isdir(parent):
        raise OSError("it is no folder")
    folder = tempfile.mkdtemp(prefix="ray-", dir=os.path.abspath(parent))
    try:
        if shutil.disk_usage(folder).free < LEAST_BYTES:
            raise OSError(f"less than {LEAST_BYTES // 1_000_000} MB are free")
        _check_sockets(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _check_sockets(folder: str) -> None:
    """Bind a socket whose path is as long as Ray's longest; the check holds for any kernel and file system."""
    # One name as long as several folders, so that there are none to make.
    path = os.path.join(folder, _LONGEST.replace("/", "-"))
    if not hasattr(socket, "AF_UNIX"):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(path)
        except OSError as error:
            raise OSError(
                "its name is too long for Ray's sockets"
                if error.errno is None
                else f"no sockets, {error.strerror}"
            ) from error
    os.unlink(path)
