"""The journal: one JSON line a generation, the same for equal searches. Times stand in another file."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from engine.contracts import FAILED
from engine.errors import RunError
from engine.individual import Individual
from engine.state import SearchState


def journal_row(state: SearchState, previous_evaluations: int) -> dict[str, Any]:
    """What there is to say about a generation; no clock, no machine, no backend."""
    return {
        "generation": state.generation,
        "evaluations": state.evaluations,
        "new_evaluations": state.evaluations - previous_evaluations,
        "failures": state.failures,
        "stopped": state.stopped,
        "best": state.best.to_json(),
        "population": _population_summary(state.population),
        **islands_summary(state),
    }


def islands_summary(state: SearchState) -> dict[str, Any]:
    """Under ``islands`` the population of each, where there are several; nothing for one."""
    if len(state.islands) == 1:
        return {}
    return {"islands": [_population_summary(island.population) for island in state.islands]}


def _population_summary(population: list[Individual]) -> dict[str, Any]:
    """Size, failed individuals, and the range of the others' scores."""
    scores = np.array([individual.score for individual in population])
    finite = scores[np.isfinite(scores)]
    return {
        "size": len(scores),
        "failed": sum(individual.correct == FAILED for individual in population),
        "highest_score": float(finite.max()) if len(finite) else None,
        "median_score": float(np.median(finite)) if len(finite) else None,
        "lowest_score": float(finite.min()) if len(finite) else None,
    }


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Append one line and sync it to disk.

    Raises:
        OSError: the disk is full; the part of the line that was written is cut off again.
    """
    line = (json.dumps(entry, allow_nan=False) + "\n").encode()
    with open(path, "ab", buffering=0) as file:
        size = file.tell()
        try:
            view = memoryview(line)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(size)
            error.filename = str(path)
            raise


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All whole rows; a last line that was cut by a crash is left out.

    Raises:
        RunError: a line before the last is damaged.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    rows = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            row = json.loads(line)
            if not isinstance(row["generation"], int):
                raise TypeError("a row has the number of its generation")
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"line {number} of {path} is damaged; restore the file or remove it.") from error
        rows.append(row)
    return rows


def rewind(path: Path, generation: int) -> None:
    """Drop the rows after ``generation``, and a torn last line: the search continues from there."""
    if not path.exists():
        return
    kept = 0
    content = path.read_bytes()
    for row, line in zip(read_rows(path), content.split(b"\n"), strict=False):
        if row["generation"] > generation:
            break
        kept += len(line) + 1
    if kept < len(content):
        with open(path, "r+b") as file:
            file.truncate(kept)
            os.fsync(file.fileno())
