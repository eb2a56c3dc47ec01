"""Joining a Ray cluster: within a bounded time, with our code, and one sentence for what may go wrong."""

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from engine import cluster_nodes, shipping
from engine.errors import BackendError, OptionError
from engine.pool_options import CLIENT_SCHEME, PoolOptions

QUIET = {"log_to_driver": False, "logging_level": "ERROR"}

REACH_SECONDS = 10
"""How long a host may take to accept a connection. Ray by itself tries for a quarter of an hour."""

CLIENT_TRIES = 3
"""How often to ask for a client's server on the cluster, whose process may die as it starts."""

_CLIENT_SERVER_DIED = re.compile("Starting Ray client server failed|Proxy failed to Connect to backend")

_TOKEN = "; if it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN."


def join(ray: Any, options: PoolOptions, tell: Callable[[str], None]) -> None:
    """Connect to ``options.address``, with all that workers need to import.

    Raises:
        BackendError: the cluster cannot be reached, is of another version, or cannot run our code.
        OptionError: ``--runtime-env`` names no file that describes an environment.
    """
    assert options.address is not None
    if options.runtime_env is not None:
        _init(ray, options.address, _given(ray, options.runtime_env))
        return
    if shipping.in_a_ray_job():
        _init(ray, options.address, None)
        return
    packages = shipping.our_packages()
    _init(ray, options.address, shipping.runtime_env(packages))
    needed = shipping.needed()
    lacking = shipping.lacking(needed, cluster_nodes.versions(ray, options, list(needed)))
    if lacking:
        tell(f"the cluster's nodes install {', '.join(lacking)}, which takes a minute or more the first time.")
        # A runtime environment belongs to a connection.
        ray.shutdown()
        _init(ray, options.address, shipping.runtime_env(packages, lacking))
        cluster_nodes.check_installed(ray, options, needed, lacking)


def _given(ray: Any, path: str) -> dict[str, Any]:
    entry = shipping.read_runtime_env(path)
    try:
        ray.runtime_env.RuntimeEnv(**entry)
    except (ValueError, TypeError, OSError) as error:
        raise OptionError(
            f"--runtime-env {path} is not what Ray takes: {' '.join(str(error).split())}"
        ) from error
    return entry


def _init(ray: Any, address: str, environment: dict[str, Any] | None) -> None:
    _check_reachable(address)
    try:
        with _one_try(ray):
            _init_patiently(ray, address, environment)
    except ImportError as error:
        raise BackendError(
            f"--address {address} needs the package {error.name}; run 'pip install ray[client]'."
        ) from error
    except (RuntimeError, ValueError, TypeError, OSError, ray.exceptions.RayError) as error:
        raise BackendError(_sentence(ray, address, error)) from error


def _init_patiently(ray: Any, address: str, environment: dict[str, Any] | None) -> None:
    """``ray.init``; a cluster's head starts a process for each client on a port of its own.

    The head looks for a free port and lets go of it again before that process takes it, so that the port may
    be lost in between; the head takes another for the next attempt.
    """
    for tries_left in reversed(range(CLIENT_TRIES)):
        try:
            ray.init(address=address, runtime_env=environment, **QUIET)
            return
        except (RuntimeError, OSError) as error:
            if not tries_left or not _CLIENT_SERVER_DIED.search(str(error)):
                raise
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise BackendError unless something listens there; Ray's own waits are long and its logs are longer."""
    if address == "auto":
        return
    host, _, port = address.removeprefix(CLIENT_SCHEME).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS).close()
    except OSError as error:
        raise BackendError(
            f"nothing answers at --address {address} ({error.strerror or error}); check host, port and firewall, "
            "and that the cluster runs."
        ) from error


@contextmanager
def _one_try(ray: Any) -> Iterator[None]:
    """Ray tries 20 times, 40 seconds each, to talk to something that listens but is no Ray."""
    constants = ray._private.ray_constants
    before = constants.NUM_REDIS_GET_RETRIES
    constants.NUM_REDIS_GET_RETRIES = 1
    try:
        yield
    finally:
        constants.NUM_REDIS_GET_RETRIES = before


def _sentence(ray: Any, address: str, error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    where = f"the Ray cluster at --address {address}"
    versions = re.search(r"started with: Ray: (\S+) Python: (\S+) .*started with: Ray: (\S+) Python: (\S+)", text)
    if versions:
        ray_there, python_there, ray_here, python_here = versions.groups()
        return (
            f"{where} has Ray {ray_there} and Python {python_there}, and here are Ray {ray_here} and Python "
            f"{python_here}; use the same versions here."
        )
    if "No node info found" in text:
        return (
            f"{where} has no node on this machine, which --address HOST:PORT needs; from elsewhere use "
            f"{CLIENT_SCHEME}HOST:10001 or 'ray job submit'."
        )
    # Older versions of Ray have no such class.
    if type(error).__name__ == "AuthenticationError":
        return f"{where} does not take the token of RAY_AUTH_TOKEN or ~/.ray/auth_token; use its own ({text})."
    if isinstance(error, ray.exceptions.RuntimeEnvSetupError):
        return f"{where} cannot prepare the runtime environment: {cluster_nodes.gist(str(error))}"
    # Ray says that a token is missing in its log alone.
    token = "" if os.environ.get("RAY_AUTH_MODE") == "token" else _TOKEN
    return f"cannot reach {where}: {text}{token}"
