"""Whether the workers of a pool fit into a cluster."""

from collections.abc import Callable, Mapping

from engine.cluster.options import PoolOptions
from engine.errors import BackendError


def check_room(have: Mapping[str, float], options: PoolOptions, warn: Callable[[str], None]) -> None:
    """Refuse more workers than this machine can hold; warn of more than a cluster holds, which may still grow.

    Raises:
        BackendError: this machine is too small.
    """
    if fits(have, options):
        return
    if options.address is None:
        raise BackendError(f"{room_told(have, options)} Lower `workers` or what each one asks for.")
    warn(f"{room_told(have, options)} The search begins with what there is and uses what joins.")


def fits(have: Mapping[str, float], options: PoolOptions) -> bool:
    """Whether the resources of a Ray cluster hold the workers."""
    return all(
        each * options.workers <= have.get(resource, 0)
        for resource, each in (("CPU", options.cpus_per_worker), ("GPU", options.gpus_per_worker))
    )


def room_told(have: Mapping[str, float], options: PoolOptions) -> str:
    """A sentence on what the workers need and what the cluster has."""
    cpus, gpus = options.cpus_per_worker, options.gpus_per_worker
    needed = f"{cpus * options.workers:g} CPUs (`cpus_per_worker` {cpus})"
    if gpus:
        needed += f" and {gpus * options.workers:g} GPUs (`gpus_per_worker` {gpus:g})"
    there = f"{have.get('CPU', 0):g} CPUs and {have.get('GPU', 0):g} GPUs"
    return f"`workers` {options.workers} need {needed} and the Ray cluster has {there}."
