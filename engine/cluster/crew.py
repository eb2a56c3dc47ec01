"""The crew of a pool: how many workers are ready or starting, and when to start more."""

from dataclasses import dataclass, field

from engine.errors import BackendError

REFUSALS = 3
"""Workers in a row that may fail to become ready, while none is ready, before the search ends."""
STILLBORN = 10
"""The same for workers that die before they are ready; more, because machines also die of other causes."""
LONGEST_BACKOFF = 60.0
"""Most seconds between two attempts to start a worker."""


@dataclass(eq=False)
class Member:
    """A ready worker: the shards it holds, and its failures."""

    holds: set[int] = field(default_factory=set)
    failures: int = 0


class Crew:
    """Numbers the workers of a pool. The caller starts them, and reports what became of each.

    Attributes:
        wanted: workers to keep.
        replaced: workers lost or dismissed after they were ready.
        members: the ready workers, by number.
    """

    def __init__(self, wanted: int):
        self.wanted = wanted
        self.replaced = 0
        self.members: dict[int, Member] = {}
        self._starting: set[int] = set()
        self._next_worker = 0
        self._refusals = 0
        self._stillborn = 0
        self._hire_after = 0.0

    @property
    def ready(self) -> int:
        """Workers that could take a task or are at one."""
        return len(self.members)

    def hires(self, now: float) -> list[int]:
        """Numbers of new workers to start now; report each with :meth:`joined` or :meth:`refused`."""
        if now < self._hire_after:
            return []
        new = []
        while len(self.members) + len(self._starting) < self.wanted:
            new.append(self._next_worker)
            self._starting.add(self._next_worker)
            self._next_worker += 1
        return new

    def joined(self, worker: int) -> None:
        """A new worker is ready."""
        self._starting.remove(worker)
        self.members[worker] = Member()
        self._refusals = self._stillborn = 0

    def refused(self, worker: int, now: float, cause: str, *, died: bool = False) -> None:
        """A new worker failed to become ready, or ``died`` first.

        Raises:
            BackendError: too many workers in a row failed, and none is ready.
        """
        self._starting.remove(worker)
        if died:
            self._stillborn += 1
        else:
            self._refusals += 1
        if not self.members and (self._refusals >= REFUSALS or self._stillborn >= STILLBORN):
            raise BackendError(f"no worker becomes ready, the last one because of: {cause}")
        self._hire_after = now + min(2.0 ** (self._refusals + self._stillborn - 1), LONGEST_BACKOFF)

    def remove(self, worker: int) -> None:
        """A ready worker is lost or dismissed."""
        del self.members[worker]
        self.replaced += 1

    def next_hire(self) -> float | None:
        """When to ask for :meth:`hires` again; None while no worker is missing."""
        missing = len(self.members) + len(self._starting) < self.wanted
        return self._hire_after if missing else None

    def forget_shards(self) -> None:
        """No worker holds a shard any more."""
        for member in self.members.values():
            member.holds.clear()
