"""Connecting to Ray: start a private Ray or join a cluster, in bounded time and with one-sentence errors.

Ray is imported only when asked for. Some private constants of Ray are set while Ray connects. Ray reads the
environment variables behind them once, at its import, and then applies them to private Rays and clusters alike.
"""

import os
import re
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from engine.cluster import nodes, private_ray, shipping
from engine.cluster.faults import gist, shortened
from engine.cluster.options import CLIENT_SCHEME, PoolOptions
from engine.cluster.private_ray import QUIET, constant
from engine.errors import BackendError, OptionError

REACH_SECONDS = 10
"""Seconds in which a host must accept a connection. Ray by itself tries for a quarter of an hour."""

CLIENT_TRIES = 3
"""Most attempts to get a client's server on the cluster, whose process may die as it starts."""

# The head's traceback ends in the first function whatever the process died of.
_CLIENT_SERVER_DIED = re.compile(
    r"start_specific_server|Starting Ray client server failed|Proxy failed to Connect to backend"
)
_NO_ENVIRONMENT = "Failed to create runtime_env"

_VERSIONS = re.compile(r"started with: Ray: (\S+) Python: (\S+) .*started with: Ray: (\S+) Python: (\S+)")

_NOTICES = "_worker_logs_enabled"
"""Private switch of Ray's notices. Ray's option ``log_to_driver`` leaves those of its nodes on."""

_TOKEN = "; if it asks for a token, set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN unless ~/.ray/auth_token has it."


def import_ray() -> Any:
    """The module ``ray``.

    Raises:
        BackendError: Ray is not installed.
    """
    # Without this, Ray 2.60 warns at every start that it will stop overriding the variable for CPU-only actors.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise BackendError(
            "`backend` ray needs the package ray, which is not installed; run 'pip install ray' or use "
            "`backend` local."
        ) from error
    return ray


def connect(
    ray: Any, options: PoolOptions, tell: Callable[[str], None] = lambda message: None
) -> ExitStack | None:
    """Start or join Ray, unless this process is connected.

    Returns:
        What ends the connection when it is closed; None if this process was connected, so that Ray is not ours.

    ``tell`` receives a sentence before anything that takes long, such as an installation on the cluster.

    Raises:
        BackendError: Ray cannot be reached, or cannot run our code.
        OptionError: ``runtime_env`` names no file that describes an environment.
    """
    if ray.is_initialized():
        return None
    in_main_thread = threading.current_thread() is threading.main_thread()
    on_sigterm = signal.getsignal(signal.SIGTERM) if in_main_thread else None
    connection = ExitStack()
    connection.enter_context(_without_notices(ray))
    try:
        with warnings.catch_warnings():
            # JAX warns of forks without exec; Ray starts its processes with exec.
            warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
            # The error's sentence says the same.
            warnings.filterwarnings("ignore", message="Ray Client connection timed out", category=UserWarning)
            if options.address is None:
                connection.enter_context(private_ray.running(ray, options, tell))
            else:
                connection.callback(ray.shutdown)
                _join(ray, options, options.address, tell)
    except BaseException:
        connection.close()
        raise
    finally:
        if on_sigterm is not None:
            # Ray's own handler would end the process without a word on how to resume.
            signal.signal(signal.SIGTERM, on_sigterm)
    return connection


@contextmanager
def _without_notices(ray: Any) -> Iterator[None]:
    """Keep Ray from printing notices of its nodes on our standard output: the pool tells the same in a line."""
    worker = ray._private.worker
    before = getattr(worker, _NOTICES, True)
    setattr(worker, _NOTICES, False)
    try:
        yield
    finally:
        setattr(worker, _NOTICES, before)


def _join(ray: Any, options: PoolOptions, address: str, tell: Callable[[str], None]) -> None:
    """Join a cluster, and send all that workers import and the nodes lack."""
    if options.runtime_env is not None:
        _init(ray, address, _given_environment(ray, options.runtime_env))
        return
    if shipping.in_a_ray_job():
        _init(ray, address, None)
        return
    packages = shipping.our_packages()
    _init(ray, address, shipping.runtime_env(packages))
    needed = shipping.needed()
    lacking = shipping.lacking(needed, nodes.versions(ray, options, list(needed)))
    if lacking:
        tell(f"the cluster's nodes install {', '.join(lacking)}, which takes a minute or more the first time.")
        # A runtime environment belongs to a connection.
        ray.shutdown()
        _init(ray, address, shipping.runtime_env(packages, lacking))
        nodes.check_installed(ray, options, needed, lacking)


def _given_environment(ray: Any, path: str) -> dict[str, Any]:
    entry = shipping.read_runtime_env(path)
    try:
        ray.runtime_env.RuntimeEnv(**entry)
    except (ValueError, TypeError, OSError) as error:
        raise OptionError(f"`runtime_env` {path} is not what Ray takes: {shortened(str(error))}.") from error
    return entry


def _init(ray: Any, address: str, environment: dict[str, Any] | None) -> None:
    _check_reachable(address)
    try:
        # Ray tries 20 times, 40 seconds each, to talk to something that listens but is no Ray.
        with constant(ray, "NUM_REDIS_GET_RETRIES", 1):
            _init_patiently(ray, address, environment)
    except ImportError as error:
        raise BackendError(
            f"`address` {address} needs the package {error.name}; run 'pip install ray[client]'."
        ) from error
    except (RuntimeError, ValueError, TypeError, OSError, ray.exceptions.RayError) as error:
        raise BackendError(_sentence(ray, address, error)) from error


def _init_patiently(ray: Any, address: str, environment: dict[str, Any] | None) -> None:
    """Call ``ray.init``, several times if the process that the cluster's head starts for this client dies.

    The head finds a free port for that process and releases the port before the process takes it, so another
    process may take the port in between. The next attempt gets another port.
    """
    for tries_left in reversed(range(CLIENT_TRIES)):
        try:
            ray.init(address=address, runtime_env=environment, **QUIET)
            return
        except (RuntimeError, OSError) as error:
            died = _CLIENT_SERVER_DIED.search(str(error)) and _NO_ENVIRONMENT not in str(error)
            if not tries_left or not died:
                raise
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise BackendError unless something listens at the address: Ray's own waits and logs are long."""
    if address == "auto":
        return
    host, _, port = address.removeprefix(CLIENT_SCHEME).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS).close()
    except OSError as error:
        raise BackendError(
            f"nothing answers at `address` {address} ({error.strerror or error}); check host, port and firewall, "
            "and that the cluster runs."
        ) from error


def _sentence(ray: Any, address: str, error: Exception) -> str:
    """One sentence for what Ray raised."""
    whole = " ".join(str(error).split())
    traceback = "Traceback (most recent call last)" in whole
    text = (gist(str(error)) if traceback else shortened(whole)) or type(error).__name__
    where = f"the Ray cluster at `address` {address}"
    versions = _VERSIONS.search(whole)
    if versions:
        ray_there, python_there, ray_here, python_here = versions.groups()
        return (
            f"{where} has Ray {ray_there} and Python {python_there}, and here are Ray {ray_here} and Python "
            f"{python_here}; use the same versions here."
        )
    if "No node info found" in whole:
        return (
            f"{where} has no node on this machine, which `address` HOST:PORT needs; from elsewhere use "
            f"{CLIENT_SCHEME}HOST:10001 or 'ray job submit'."
        )
    # Older versions of Ray have no such class.
    if type(error).__name__ == "AuthenticationError":
        return f"{where} does not take the token of RAY_AUTH_TOKEN or ~/.ray/auth_token; use its own ({text})."
    if isinstance(error, ray.exceptions.RuntimeEnvSetupError):
        return f"{where} cannot prepare the runtime environment: {gist(str(error))}"
    # Ray reports a missing token only in its log.
    token = "" if os.environ.get("RAY_AUTH_MODE") == "token" else _TOKEN
    return f"cannot reach {where}: {text}{token}"
