"""Reaching Ray: importing it, starting a private one or joining a cluster. Imports Ray only when asked to."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import BackendError
from engine.joining import QUIET, join
from engine.pool_options import PoolOptions

_LOOPBACK = "127.0.0.1"


def import_ray() -> Any:
    """The module.

    Raises:
        BackendError: it is not installed.
    """
    # Ray 2.60 warns at every start that it will stop overriding this variable for CPU-only actors.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise BackendError(
            "--backend ray needs the package ray, which is not installed; run 'pip install ray' or use "
            "--backend local."
        ) from error
    return ray


def connect(ray: Any, options: PoolOptions, tell: Callable[[str], None] = lambda message: None) -> bool:
    """Join or start Ray; whether it was started (or joined) here, and so has to be left again.

    ``tell`` receives what takes long, such as an installation on the cluster.

    Raises:
        BackendError: it cannot be reached, or cannot run our code.
        OptionError: ``--runtime-env`` names no file that describes an environment.
    """
    if ray.is_initialized():
        return False
    in_main_thread = threading.current_thread() is threading.main_thread()
    on_sigterm = signal.getsignal(signal.SIGTERM) if in_main_thread else None
    try:
        with warnings.catch_warnings():
            # JAX warns of forks without exec; Ray starts its processes with exec.
            warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
            # Said again in the sentence that the error becomes.
            warnings.filterwarnings("ignore", message="Ray Client connection timed out", category=UserWarning)
            if options.address is None:
                _start(ray, options)
            else:
                join(ray, options, tell)
    except BaseException:
        ray.shutdown()
        raise
    finally:
        if on_sigterm is not None:
            # Ray's own handler would end the process without a word on how to resume.
            signal.signal(signal.SIGTERM, on_sigterm)
    return True


def _start(ray: Any, options: PoolOptions) -> None:
    """A private Ray on this machine, with no dashboard, all of whose sockets listen on loopback.

    Ray binds to every interface unless its own address is exactly 127.0.0.1, and replaces that address,
    wherever it is given, by one that other machines can reach: ``_node_ip_address`` does not help. The switch
    with which Ray spares macOS and Windows the questions of their firewalls does; it works everywhere.
    """
    cores = max(os.cpu_count() or 1, options.workers * options.cpus_per_worker)
    try:
        with _without_clusters(ray):
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **QUIET)
    # Of some failures, such as a start that takes too long, Ray says no more than Exception.
    except Exception as error:
        raise BackendError(
            f"cannot start a local Ray: {cause_of(error).rstrip('.')}; try again when this machine has less to "
            "do, or use --backend local."
        ) from error
    [node] = ray.nodes()
    if node["NodeManagerAddress"] != _LOOPBACK:
        raise BackendError(
            f"this Ray ({ray.__version__}) listens on {node['NodeManagerAddress']} and not on loopback alone; "
            "install Ray 2.60, or start Ray yourself and give its --address."
        )


@contextmanager
def _without_clusters(ray: Any) -> Iterator[None]:
    constants = ray._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def cause_of(error: Exception) -> str:
    """The last line of a Ray error, which names the exception in the worker."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
