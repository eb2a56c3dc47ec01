"""Following a run while it goes on: ``evoprune status --watch``. Reads the run and writes nothing."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from time import sleep
from typing import Any

from engine.errors import RunError
from engine.run.directory import RunDirectory
from experiments.runs.watching.status import SearchStatus, read_status

_RECENT = 10
"""Last generations, whose mean time estimates the time left."""


@dataclass(frozen=True)
class Pace:
    """How fast a search goes on, by its last generations."""

    seconds_a_generation: float
    seconds_left: float


@dataclass(frozen=True)
class FollowedStatus(SearchStatus):
    """A run at one moment; ``pace`` is None before there is a generation."""

    pace: Pace | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**super().to_json(), "pace": None if self.pace is None else asdict(self.pace)}


def follow(
    location: str | os.PathLike[str], seconds: float, warn: Callable[[str], None] = lambda text: None
) -> Iterator[FollowedStatus]:
    """Look at a run at once, and then each time it has moved on, until it is complete.

    Args:
        location: of the run, a path or a URL.
        seconds: from one look to the next.
        warn: told about damaged checkpoints.

    Raises:
        RunError: there is no run.
        CheckpointError: every checkpoint is damaged.
    """
    before = None
    while True:
        status = read_status(location, warn)
        if status != before:
            yield FollowedStatus(**vars(status), pace=pace(location, status))
        if status.complete:
            return
        before = status
        sleep(seconds)


def pace(location: str | os.PathLike[str], status: SearchStatus) -> Pace | None:
    """Recent seconds a generation, and the time left at that pace; None before there is a generation.

    Raises:
        RunError: the run's times are damaged.
    """
    run = RunDirectory.open(location)
    timings = run.timings()[-_RECENT:]
    if not timings or status.generation is None:
        return None
    try:
        each = sum(float(row["seconds"]) for row in timings) / len(timings)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"the times of {run.location} are damaged ({error}); restore timings.jsonl.") from error
    left = max(0, status.generations - status.generation)
    return Pace(round(each, 4), round(each * left, 1))
