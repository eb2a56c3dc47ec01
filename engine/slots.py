"""Which cores each worker of a machine gets to itself."""

from collections.abc import Sequence


class CoreSlots:
    """Gives out the cores of several machines, a few to each worker."""

    def __init__(self, cores_per_worker: int):
        self._each = cores_per_worker
        self._taken: dict[str, dict[int, tuple[int, ...]]] = {}

    def take(self, worker: int, host: str, cores: Sequence[int]) -> tuple[int, ...] | None:
        """Cores for a worker among those of its machine; None if too few are left, so that it has to share all.

        A machine that promises more cores than it has would otherwise keep some workers on one core for good.
        """
        taken = self._taken.setdefault(host, {})
        free = sorted(set(cores).difference(*taken.values()))
        if len(free) < self._each:
            return None
        taken[worker] = tuple(free[: self._each])
        return taken[worker]

    def give_back(self, worker: int) -> None:
        """The worker is gone."""
        for taken in self._taken.values():
            taken.pop(worker, None)
