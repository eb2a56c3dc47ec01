"""Sentences for faults of the machine: files, disks and memory."""

import errno
import os
import re
import sys

from experiments.cli.interruption import how_to_go_on
from models.errors import DeviceError
from models.xla import check_devices

_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on file sizes",
    errno.EACCES: "give yourself permission",
    errno.EPERM: "give yourself permission",
    errno.EROFS: "make the directory writable or name another",
    errno.ENOTDIR: "name a directory",
    errno.EISDIR: "name a file",
    errno.ELOOP: "name the file itself",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.ENOMEM: "free some memory",
    errno.ENOENT: "check the path",
    errno.EIO: "check the disk",
    errno.ESTALE: "check the file server",
    errno.ETIMEDOUT: "check the file server",
}
_OTHER_REMEDY = "check the file system"
_NO_MEMORY = (
    "RESOURCE_EXHAUSTED",
    "Out of memory",
    "bad_alloc",
    "failed to map segment",
    "Cannot allocate memory",
)
_JAX_VARIABLE = re.compile(r"\bJAX_[A-Z0-9_]+|(?<=JAX flag )jax_[a-z0-9_]+")
_NO_THREADS = ("can't start new thread", "Resource temporarily unavailable")


def described(error: Exception) -> str | None:
    """The sentence for an error that the machine caused; None for any other error."""
    go_on = how_to_go_on(error)
    again = f"; {go_on}" if go_on else " and try again."
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        name = error.filename or "the output"
        remedy = _REMEDIES.get(error.errno, _OTHER_REMEDY)
        return f"cannot write or read {os.fsdecode(name)}: {error.strerror}; {remedy}{again}"
    if isinstance(error, (RuntimeError, AssertionError)) and "jax" in sys.modules:
        try:
            check_devices()
        except DeviceError as found:
            return str(found)
    text = str(error)
    if isinstance(error, ValueError) and (variable := _JAX_VARIABLE.search(text)):
        name = variable[0].upper()
        return f"JAX does not take its environment variable {name} ({text}); correct or unset the variable."
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        return (
            "memory ran out; use a smaller --batch-size or fewer --images, raise the limit on memory (ulimit -v, "
            f"or that of the container){again}"
        )
    if isinstance(error, RuntimeError) and any(sign in text for sign in _NO_THREADS):
        return f"the system starts no more threads; raise the limit on processes (ulimit -u){again}"
    return None


def lost_folder() -> str:
    """The sentence for a current folder that is gone, with a blank behind it; empty if there is one."""
    try:
        os.getcwd()
    except OSError:
        return "the current folder is gone; change to a folder that exists and try again. What failed there: "
    return ""
