"""The journal: one JSON line for each generation, without times, so equal searches write equal journals."""

import json
from typing import Any

import numpy as np

from engine.contracts import FAILED
from engine.errors import RunError
from engine.search.individual import Individual
from engine.search.state import SearchState
from engine.stores.base import RunStore


def journal_row(state: SearchState, previous_evaluations: int) -> dict[str, Any]:
    """The journal's row of a generation: no clock, no machine, no backend."""
    return {
        "generation": state.generation,
        "evaluations": state.evaluations,
        "new_evaluations": state.evaluations - previous_evaluations,
        "failures": state.failures,
        "stopped": state.stopped,
        "best": state.best.to_json(),
        "population": _population_summary(state.population),
        **islands_summary(state),
        **_front_summary(state),
        **({} if state.reach is None else {"reach": state.reach}),
    }


def _front_summary(state: SearchState) -> dict[str, Any]:
    """Size and hypervolume of the front under ``front``; nothing in a search for BEST alone."""
    if state.front is None:
        return {}
    return {"front": {"size": len(state.front), "hypervolume": state.front.hypervolume()}}


def islands_summary(state: SearchState) -> dict[str, Any]:
    """The population of each island under ``islands``; nothing for a single island."""
    if len(state.islands) == 1:
        return {}
    return {"islands": [_population_summary(island.population) for island in state.islands]}


def _population_summary(population: list[Individual]) -> dict[str, Any]:
    """Size, failed individuals, and the range of finite scores."""
    scores = np.array([individual.score for individual in population])
    finite = scores[np.isfinite(scores)]
    return {
        "size": len(scores),
        "failed": sum(individual.correct == FAILED for individual in population),
        "highest_score": float(finite.max()) if len(finite) else None,
        "median_score": float(np.median(finite)) if len(finite) else None,
        "lowest_score": float(finite.min()) if len(finite) else None,
    }


def append_line(store: RunStore, name: str, entry: dict[str, Any]) -> None:
    """Append one row, durably.

    Raises:
        OSError, RunStoreError: the store is full or out of reach.
    """
    store.append(name, (json.dumps(entry, allow_nan=False) + "\n").encode())


def read_rows(store: RunStore, name: str) -> list[dict[str, Any]]:
    """All whole rows, without a last line that a crash cut short.

    Raises:
        RunError: another line is damaged.
    """
    return _rows(store.read_log(name), store.full_name(name))


def rewind(store: RunStore, name: str, generation: int) -> set[int]:
    """Drop the rows after ``generation`` and a torn last line; return the generations of the rows that stay."""
    kept = 0
    generations = set()
    content = store.read_log(name)
    for row, line in zip(_rows(content, store.full_name(name)), content.split(b"\n"), strict=False):
        if row["generation"] > generation:
            break
        kept += len(line) + 1
        generations.add(row["generation"])
    if kept < len(content):
        store.cut_log(name, kept)
    return generations


def _rows(content: bytes, where: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            row = json.loads(line)
            if not isinstance(row["generation"], int):
                raise TypeError("a row needs the number of its generation")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RunError(f"line {number} of {where} is damaged; restore the file or remove it.") from error
        rows.append(row)
    return rows
