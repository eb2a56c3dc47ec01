"""Tasks that wait for a worker, in order, and by the shard that they read."""

from collections import defaultdict
from collections.abc import Callable, Iterable


class TaskQueue:
    """Tasks by number. Each reads one shard."""

    def __init__(self) -> None:
        self._shards: dict[int, int] = {}
        self._readers: defaultdict[int, dict[int, None]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._shards)

    def __contains__(self, task: int) -> bool:
        return task in self._shards

    def clear(self) -> None:
        """Forget all tasks."""
        self._shards.clear()
        self._readers.clear()

    def put(self, task: int, shard: int) -> None:
        """Let a task wait behind all others."""
        self._shards[task] = shard
        self._readers[shard][task] = None

    def remove(self, task: int) -> None:
        """Forget a task, if it waits."""
        shard = self._shards.pop(task, None)
        if shard is not None:
            del self._readers[shard][task]

    def choice(self, held: Iterable[int], fits: Callable[[int], bool]) -> int | None:
        """The first task that ``fits``; tasks of the shards ``held`` come before all others."""
        for shard in held:
            for task in self._readers.get(shard, ()):
                if fits(task):
                    return task
        return next((task for task in self._shards if fits(task)), None)
