"""Following a run while it goes on: ``evoprune status --watch``. Reads the run and writes nothing."""

import os
from collections.abc import Callable, Iterator
from time import sleep
from typing import Any

from engine.errors import RunError
from engine.run_directory import RunDirectory
from experiments.status import read_status

_RECENT = 10
"""Generations whose time says how long the rest may take."""


def follow(
    directory: str | os.PathLike[str],
    seconds: float,
    warn: Callable[[str], None] = lambda text: None,
) -> Iterator[dict[str, Any]]:
    """Where a run stands, at once and then each time it has moved on, until it is complete.

    Args:
        directory: of the run, a path or a URL.
        seconds: from one look to the next.
        warn: told about damaged checkpoints.

    Yields:
        What :func:`experiments.status.read_status` returns, and ``pace``: see :func:`pace`.

    Raises:
        RunError: no run there.
        CheckpointError: every checkpoint is damaged.
    """
    before = None
    while True:
        found = read_status(directory, warn)
        if found != before:
            yield {**found, "pace": pace(directory, found)}
        if found["complete"]:
            return
        before = found
        sleep(seconds)


def pace(directory: str | os.PathLike[str], status: dict[str, Any]) -> dict[str, float] | None:
    """Seconds a generation of late, and what the rest takes at that pace; None before there is a generation.

    Raises:
        RunError: the run's times are damaged.
    """
    run = RunDirectory.open(directory)
    timings = run.timings()[-_RECENT:]
    if not timings or status["generation"] is None:
        return None
    try:
        each = sum(float(row["seconds"]) for row in timings) / len(timings)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"the times of {run.location} are damaged ({error}); restore timings.jsonl.") from error
    left = max(0, status["generations"] - status["generation"])
    return {"seconds_a_generation": round(each, 4), "seconds_left": round(each * left, 1)}
