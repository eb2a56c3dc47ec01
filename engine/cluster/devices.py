"""The part of a machine that each worker gets: CPU cores of its own, and a share of a GPU's memory."""

from collections.abc import Sequence

GPU_SHARE = 0.9
"""Share of its fraction of a GPU's memory that JAX takes in a worker; CUDA itself needs the rest."""


class CoreSlots:
    """Deals out the cores of several machines, a few to each worker."""

    def __init__(self, cores_per_worker: int):
        self._each = cores_per_worker
        self._taken: dict[str, dict[int, tuple[int, ...]]] = {}

    def take(self, worker: int, host: str, cores: Sequence[int]) -> tuple[int, ...] | None:
        """Free cores of a worker's machine; None if too few are free, and the worker then shares all cores.

        A machine may promise Ray more cores than it has. Pinned workers would then crowd on few cores for good.

        Args:
            worker: number of the worker.
            host: name of its machine.
            cores: all cores of that machine.
        """
        taken = self._taken.setdefault(host, {})
        free = sorted(set(cores).difference(*taken.values()))
        if len(free) < self._each:
            return None
        taken[worker] = tuple(free[: self._each])
        return taken[worker]

    def give_back(self, worker: int) -> None:
        """Free the cores of a worker that is gone."""
        for taken in self._taken.values():
            taken.pop(worker, None)


def jax_variables(gpus_per_worker: float) -> dict[str, str]:
    """Environment variables of a worker, so that JAX uses only the worker's devices and share of memory.

    By default JAX takes three quarters of a GPU's memory as it starts, whatever else runs there.
    """
    if gpus_per_worker == 0:
        return {"JAX_PLATFORMS": "cpu"}
    if gpus_per_worker >= 1:
        return {}
    share = f"{GPU_SHARE * gpus_per_worker:.3f}"
    return {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_PYTHON_CLIENT_MEM_FRACTION": share}
