"""A run's journal as TensorBoard event files.

The files are made from ``journal.jsonl`` and ``timings.jsonl``, not by the search. A search that is killed and
resumed has therefore nothing to rewind, runs at URLs can be shown too, and the same run gives the same file, byte
for byte. Times are the seconds that the search has worked, from 0.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import sleep
from typing import Any

from engine.errors import OptionError, RunError
from engine.run.directory import JOURNAL, RunDirectory
from engine.stores.locations import is_url
from experiments.runs.watching.status import read_status

FOLDER = "tensorboard"
FILE = "events.out.tfevents.0000000000.{run}.evoprune"
"""TensorBoard recognises event files by this form of their names. ``run`` keeps those of several runs apart."""


def write_events(
    directory: str | os.PathLike[str],
    log_directory: Path | None = None,
    *,
    watch: float | None = None,
) -> dict[str, Any]:
    """Write the event file of a run, in place of one that was written before.

    Args:
        directory: of the run, a path or a URL.
        log_directory: local; ``tensorboard/`` of the run if None.
        watch: seconds between two reads of the run, until the run is complete; None reads once.

    Returns:
        log_directory, file, and generations and events written.

    Raises:
        RunError: no run there, or its logs are damaged.
        OptionError: a run at a URL and no log directory; or tensorboardX is not installed.
        OSError: the file cannot be written.
    """
    run = RunDirectory.open(directory)
    if log_directory is None:
        if is_url(directory):
            raise OptionError(f"{run.location} is a URL; name a local LOG_DIR for TensorBoard to read.")
        log_directory = Path(directory) / FOLDER
    record_writer, event_of = _tensorboardx()
    steps = list(_steps(run))
    log_directory.mkdir(parents=True, exist_ok=True)
    file = log_directory / FILE.format(run=_name(run))
    writer = record_writer(str(file))
    last, events, complete = -1, 0, False
    try:
        writer.write(event_of(0.0, None, {}))
        while True:
            for generation, seconds, scalars in steps:
                # A resumed run writes the same rows again; the events that are written stay.
                if generation > last:
                    writer.write(event_of(seconds, generation, scalars))
                    last, events = generation, events + len(scalars)
            writer.flush()
            if watch is None or complete:
                break
            sleep(watch)
            # In this order: the rows of a complete run are final.
            complete = read_status(directory).complete
            steps = list(_steps(run))
    finally:
        writer.close()
    return {
        "log_directory": str(log_directory),
        "file": str(file),
        "generations": last + 1,
        "events": events,
    }


def _name(run: RunDirectory) -> str:
    """Twelve hex digits from all that the run was asked for, but its length."""
    description = run.description()
    configuration = {
        name: value
        for name, value in description["configuration"].items()
        if name not in ("generations", "patience")
    }
    asked = json.dumps([description.get("identity"), configuration], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def _steps(run: RunDirectory) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Generation, seconds since the start, and its numbers."""
    try:
        times = {row["generation"]: row for row in run.timings()}
        passed = 0.0
        for row in run.journal():
            timing = times.get(row["generation"], {})
            passed += float(timing.get("seconds", 0.0))
            yield row["generation"], passed, scalars_of(row, timing)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        where = run.store.full_name(JOURNAL)
        raise RunError(
            f"{where} or timings.jsonl is damaged: a row lacks figures ({error}); restore it."
        ) from error


def scalars_of(row: Mapping[str, Any], timing: Mapping[str, Any]) -> dict[str, float]:
    """Scalars of a generation by tag; a score that does not exist is left out."""
    best, population = row["best"], row["population"]
    found = {f"best/{name}": best[name] for name in ("score", "accuracy_drop", "parameter_drop", "mac_drop")}
    found |= {f"best/{name}": best[name] for name in ("latency_drop", "latency_ms") if name in best}
    found |= {f"population/{name}": population[name] for name in population}
    found |= {
        f"search/{name}": row.get(name) for name in ("evaluations", "new_evaluations", "failures", "stopped")
    }
    for number, island in enumerate(row.get("islands", ())):
        found[f"islands/{number}/highest_score"] = island["highest_score"]
    found |= {f"front/{name}": value for name, value in row.get("front", {}).items()}
    if seconds := timing.get("seconds"):
        found["speed/seconds"] = seconds
        found["speed/evaluations_per_second"] = row["new_evaluations"] / seconds
    found |= {f"workers/{name}": value for name, value in (timing.get("workers") or {}).items()}
    return {name: float(value) for name, value in found.items() if value is not None}


def _tensorboardx() -> tuple[Any, Callable[[float, int | None, Mapping[str, float]], bytes]]:
    """The writer of records, and the bytes of an event."""
    try:
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary
    except ImportError as error:
        raise OptionError(
            "tensorboardX is not installed; install it with: pip install 'evoprune[tensorboard]'."
        ) from error

    def event_of(seconds: float, step: int | None, scalars: Mapping[str, float]) -> bytes:
        if step is None:
            return bytes(Event(wall_time=seconds, file_version="brain.Event:2").SerializeToString())
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        return bytes(Event(wall_time=seconds, step=step, summary=Summary(value=values)).SerializeToString())

    return RecordWriter, event_of
