"""Reaching Ray: importing it, starting a private one or joining a cluster. Imports Ray only when asked to."""

import os
import signal
import threading
import warnings
from typing import Any

from engine.errors import BackendError
from engine.pool_options import PoolOptions


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


def connect(ray: Any, options: PoolOptions) -> bool:
    """Join or start Ray; whether it was started (or joined) here, and so has to be left again.

    Raises:
        BackendError: it cannot be reached.
    """
    if ray.is_initialized():
        return False
    in_main_thread = threading.current_thread() is threading.main_thread()
    on_sigterm = signal.getsignal(signal.SIGTERM) if in_main_thread else None
    try:
        with warnings.catch_warnings():
            # JAX warns of forks without exec; Ray starts its processes with exec.
            warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
            _start_or_join(ray, options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"the Ray cluster at --address {options.address}" if options.address else "a local Ray"
        raise BackendError(f"cannot reach {where}: {cause_of(error)}") from error
    if on_sigterm is not None:
        # Ray's own handler would end the process without a word on how to resume.
        signal.signal(signal.SIGTERM, on_sigterm)
    return True


def _start_or_join(ray: Any, options: PoolOptions) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if options.address is not None:
        ray.init(address=options.address, **quiet)
    else:
        cores = max(os.cpu_count() or 1, options.workers * options.cpus_per_worker)
        ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)


def cause_of(error: Exception) -> str:
    """The last line of a Ray error, which names the exception in the worker."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
