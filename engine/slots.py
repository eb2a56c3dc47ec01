"""Which cores each worker of a machine gets to itself."""

from collections.abc import Sequence


class CoreSlots:
    """Gives out the cores of several machines, a few to each worker."""

    def __init__(self, cores_per_worker: int):
        self._each = cores_per_worker
        self._taken: dict[str, dict[int, tuple[int, ...]]] = {}

    def take(self, worker: int, host: str, cores: Sequence[int]) -> tuple[int, ...]:
        """Cores for a worker among those of its machine: the ones that the fewest others have."""
        taken = self._taken.setdefault(host, {})
        load = {core: sum(core in others for others in taken.values()) for core in cores}
        chosen = tuple(sorted(sorted(cores, key=lambda core: (load[core], core))[: self._each]))
        taken[worker] = chosen
        return chosen

    def give_back(self, worker: int) -> None:
        """The worker is gone."""
        for taken in self._taken.values():
            taken.pop(worker, None)
