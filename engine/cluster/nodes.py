"""The packages that the nodes of a Ray cluster have, asked on each node with room for a worker."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from engine.cluster.faults import gist
from engine.cluster.options import PoolOptions
from engine.cluster.shipping import lacking
from engine.errors import BackendError

ANSWER_SECONDS = 120
"""Seconds for a node to unpack our code and start a process."""

INSTALL_SECONDS = 900
"""Seconds for a node to install packages; Ray itself gives up after 600."""


def versions(
    ray: Any, options: PoolOptions, names: Sequence[str], timeout: float = ANSWER_SECONDS
) -> list[dict[str, str | None]]:
    """The version of each distribution, or None, on each node with room for a worker.

    Raises:
        BackendError: a node does not answer, or cannot run our code.
    """
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    probe = ray.remote(num_cpus=0, max_retries=0)(versions_here)
    asked = [
        probe.options(scheduling_strategy=strategy(node["NodeID"], soft=False)).remote(list(names))
        for node in ray.nodes()
        if node["Alive"] and _has_room(node["Resources"], options)
    ]
    try:
        answers: list[dict[str, str | None]] = ray.get(asked, timeout=timeout)
    except ray.exceptions.GetTimeoutError as error:
        raise BackendError(
            f"the cluster's nodes did not start a task within {timeout:g} seconds; look at its dashboard."
        ) from error
    except ray.exceptions.RayError as error:
        raise BackendError(f"the cluster's nodes cannot run our code: {gist(str(error))}") from error
    return answers


def versions_here(names: Sequence[str]) -> dict[str, str | None]:
    """The versions of distributions on this node. Reads metadata, because importing JAX takes seconds."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def check_installed(ray: Any, options: PoolOptions, needed: Mapping[str, str], packages: Sequence[str]) -> None:
    """Wait until the nodes have installed packages.

    Raises:
        BackendError: a node could not install them.
    """
    wanted = ", ".join(packages)
    try:
        still = lacking(needed, versions(ray, options, list(needed), INSTALL_SECONDS))
    except BackendError as error:
        raise BackendError(
            f"the cluster's nodes cannot install {wanted}; install them there, or say how with "
            f"`runtime_env`. ({error})"
        ) from error
    if still:
        raise BackendError(f"the cluster's nodes still lack {', '.join(still)} after installing {wanted}.")


def _has_room(resources: Mapping[str, float], options: PoolOptions) -> bool:
    cpus, gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    return cpus >= options.cpus_per_worker and gpus >= options.gpus_per_worker
