"""A Ray of our own on this machine: as few processes as the workers need, on loopback, in a folder of its own."""

import errno
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from engine.cluster.faults import cause_of
from engine.cluster.options import PoolOptions
from engine.cluster.ray_folder import ray_folder
from engine.errors import BackendError

QUIET = {"log_to_driver": False, "logging_level": "ERROR"}

_LOOPBACK = "127.0.0.1"

_NOT_OURS = ("RAY_ADDRESS", "RAY_GCS_SERVER_PORT", "RAY_NAMESPACE", "RAY_RUNTIME_ENV_HOOK")
"""Variables that say how to find or start another Ray."""

_SYSTEM = {
    # Ray would start a process for each core before anyone asks; our actors have processes of their own.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    # Containers often have 64 MB of shared memory; the rest goes into Ray's folder, and no start fails of it.
    "RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE": "1",
}

_SHARED_MEMORY = "/dev/shm"
_SHARE = 0.3
"""Share of this machine's memory that Ray's object store may take, as Ray itself chooses."""

_TOOK_TOO_LONG = re.compile("timed? ?out", re.IGNORECASE)


@contextmanager
def running(ray: Any, options: PoolOptions, tell: Callable[[str], None]) -> Iterator[None]:
    """A private Ray on this machine while the block runs, without a dashboard, that listens on loopback alone.

    Ray binds to every interface unless its own address is exactly 127.0.0.1, and replaces that address, wherever
    it is given, by one that other machines can reach; ``_node_ip_address`` does not help. Without clusters, as on
    macOS and Windows, Ray keeps to loopback, so that no firewall asks.

    Raises:
        BackendError: Ray does not start.
    """
    with ray_folder(tell) as folder:
        try:
            _start(ray, options, folder, tell)
            yield
        finally:
            ray.shutdown()


def _start(ray: Any, options: PoolOptions, folder: str, tell: Callable[[str], None]) -> None:
    """Start Ray, a second time if this machine has so much to do that Ray gives up after half a minute."""
    for last in (False, True):
        try:
            _init(ray, options, folder)
            break
        # Ray raises a plain Exception for some failures, such as a start that takes too long.
        except Exception as error:
            if last or not _TOOK_TOO_LONG.search(str(error)):
                raise BackendError(_sentence(error, folder)) from error
            tell("Ray takes long to start on this machine; trying again.")
            ray.shutdown()
    [node] = ray.nodes()
    if node["NodeManagerAddress"] != _LOOPBACK:
        raise BackendError(
            f"this Ray ({ray.__version__}) listens on {node['NodeManagerAddress']} and not on loopback alone; "
            "install Ray 2.60, or start Ray yourself and give its `address`."
        )


def _init(ray: Any, options: PoolOptions, folder: str) -> None:
    with constant(ray, "ENABLE_RAY_CLUSTER", False), _environment():
        ray.init(
            address="local",
            # No more than the workers use, whatever the machine has: Ray starts processes by this number.
            num_cpus=options.workers * options.cpus_per_worker,
            include_dashboard=False,
            _temp_dir=folder,
            **_object_store(folder),
            **QUIET,
        )


@contextmanager
def constant(ray: Any, name: str, value: Any) -> Iterator[None]:
    """Replace one of Ray's private constants for a while."""
    constants = ray._private.ray_constants
    before = getattr(constants, name)
    setattr(constants, name, value)
    try:
        yield
    finally:
        setattr(constants, name, before)


@contextmanager
def _environment() -> Iterator[None]:
    """The environment in which Ray's processes start."""
    before = dict(os.environ)
    for name in _NOT_OURS:
        os.environ.pop(name, None)
    for name, value in _SYSTEM.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name in (*_NOT_OURS, *_SYSTEM):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


def _object_store(folder: str) -> dict[str, Any]:
    """Where Ray keeps its objects; nothing where Ray finds a place by itself."""
    if not sys.platform.startswith("linux") or os.path.isdir(_SHARED_MEMORY):
        return {}
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "_plasma_directory": folder,
        "object_store_memory": int(max(min(_SHARE * memory, shutil.disk_usage(folder).free / 2), 80_000_000)),
    }


def _sentence(error: Exception, folder: str) -> str:
    """One sentence for why Ray did not start."""
    said, remedy = str(error), "use `backend` local"
    if _TOOK_TOO_LONG.search(said):
        remedy = "try again when this machine has less to do, or use `backend` local"
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        remedy = f"free some space under {folder}, or use `backend` local"
    elif isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.EAGAIN):
        remedy = "raise the limit on open files and processes (ulimit -n, -u), or use `backend` local"
    cause = cause_of(error)
    return f"cannot start a local Ray: {cause}; {remedy}."
