"""A search state as bytes: a safetensors payload of arrays, and a JSON header in its metadata.

Equal states have equal bytes. Nothing is a pickle. Reading checks shapes and dtypes (:mod:`engine.run.checks`),
because a file with a matching checksum can still hold anything.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.contracts import STOPPED, Aims
from engine.layout import Layout
from engine.run.checks import checked_array, checked_masks
from engine.search.archive import Archive
from engine.search.best import Best
from engine.search.front import Front
from engine.search.individual import Individual, individuals
from engine.search.islands import Island
from engine.search.state import SearchState


class Checkpoint(NamedTuple):
    """A state with the layout of its masks and the identity of the configuration that it belongs to."""

    state: SearchState
    layout: Layout
    identity: str


def encode(state: SearchState, layout: Layout, identity: str) -> bytes:
    """Serialise a state; ``identity`` names the configuration that the state belongs to."""
    best, population = state.best.individual, state.population
    arrays = {
        "population_masks": layout.pack(np.stack([each.mask for each in population])),
        "population_correct": np.array([each.correct for each in population], np.int64),
        "population_scores": np.array([each.score for each in population], np.float64),
        "best_mask": layout.pack(best.mask),
        **archive_arrays(state.archive),
    }
    header: dict[str, Any] = {
        "identity": identity,
        "generation": state.generation,
        "original_correct": state.original_correct,
        "evaluations": state.evaluations,
        "failures": state.failures,
        "stopped": state.stopped,
        "layout": {"names": layout.names, "sizes": layout.sizes},
        "best": {
            "correct": best.correct,
            "score": best.score,
            "figures": state.best.figures,
            "ancestry": state.best.ancestry,
        },
        "islands": [
            {"population": len(island.population), "rng": island.rng.bit_generator.state}
            for island in state.islands
        ],
        "origins": state.origins,
        "front": None if state.front is None else list(state.front.figures),
        "reach": state.reach,
    }
    if state.origins:
        arrays["population_origins"] = _packed_origins(population, layout, len(state.origins))
    if state.front is not None:
        arrays |= _front_arrays(state.front, population)
    # One metadata entry: safetensors promises no order for several.
    return serialise_safetensors(arrays, metadata={"state": json.dumps(header)})


def decode(payload: bytes) -> Checkpoint:
    """Inverse of :func:`encode`.

    The caller checks the checksum (:mod:`engine.run.sealed`) and whether a search can reach the state
    (:func:`engine.run.checks.check_state`).

    Raises:
        ValueError, KeyError, TypeError: ``payload`` is no such payload, or its arrays do not fit its layout.
    """
    header = json.loads(metadata(payload)["state"])
    arrays = parse_safetensors(payload)
    layout = Layout(tuple(header["layout"]["names"]), tuple(header["layout"]["sizes"]))
    origins, figures = tuple(header["origins"]), header["front"]
    archive = read_archive(arrays, layout)
    population = _population(arrays, layout, len(origins), aims=figures is not None)
    state = SearchState(
        generation=header["generation"],
        islands=_islands(header["islands"], population),
        best=_best(header["best"], arrays, layout),
        archive=archive,
        original_correct=header["original_correct"],
        evaluations=header["evaluations"],
        failures=header["failures"],
        stopped=header["stopped"],
        origins=origins,
        front=None if figures is None else _front(arrays, figures, len(archive)),
        reach=header["reach"],
    )
    return Checkpoint(state, layout, header["identity"])


def metadata(payload: bytes) -> dict[str, str]:
    """The ``metadata`` that ``safetensors.numpy.save`` was given; the package itself reads it from files only.

    Raises:
        ValueError, KeyError, TypeError, RecursionError: the payload has no such metadata.
    """
    length = int.from_bytes(payload[:8], "little")
    found: dict[str, str] = json.loads(payload[8 : 8 + length])["__metadata__"]
    return found


def archive_arrays(archive: Archive) -> dict[str, np.ndarray]:
    """Packed masks and counts of an archive."""
    masks, correct = archive.to_arrays()
    return {"archive_masks": masks, "archive_correct": correct}


def read_archive(arrays: Mapping[str, np.ndarray], layout: Layout) -> Archive:
    """Inverse of :func:`archive_arrays`.

    Raises:
        KeyError: an array is missing.
        ValueError: the arrays are not distinct masks of the layout with one count each.
    """
    masks = checked_masks(arrays, "archive_masks", layout, None)
    correct = checked_array(arrays, "archive_correct", np.int64, len(masks))
    if (correct < STOPPED).any():
        raise ValueError(f"its archive has the count {correct.min()}")
    archive = Archive.from_arrays(layout, masks, correct)
    if len(archive) < len(masks):
        raise ValueError("its archive has a mask twice")
    return archive


def _population(
    arrays: Mapping[str, np.ndarray], layout: Layout, origins: int, *, aims: bool
) -> list[Individual]:
    """The individuals of all islands. ``origins``: how many origins have names; 0 if none are recorded."""
    masks = layout.unpack(checked_masks(arrays, "population_masks", layout, None))
    return individuals(
        masks,
        checked_array(arrays, "population_correct", np.int64, len(masks)),
        checked_array(arrays, "population_scores", np.float64, len(masks)),
        _unpacked_origins(arrays, layout, len(masks), origins) if origins else None,
        _aims(arrays, len(masks)) if aims else None,
    )


def _islands(entries: list[dict[str, Any]], population: list[Individual]) -> list[Island]:
    """Deal the population out to the islands, in order, and restore their generators."""
    sizes = [entry["population"] for entry in entries]
    if not all(type(size) is int and size > 0 for size in sizes) or sum(sizes) != len(population):
        raise ValueError("its islands do not add up to its population, or one is empty")
    islands, first = [], 0
    for entry, size in zip(entries, sizes, strict=True):
        rng = np.random.Generator(np.random.PCG64())
        rng.bit_generator.state = entry["rng"]
        islands.append(Island(population[first : first + size], rng))
        first += size
    return islands


def _best(entry: dict[str, Any], arrays: Mapping[str, np.ndarray], layout: Layout) -> Best:
    correct, score = entry["correct"], entry["score"]
    if type(correct) is not int or type(score) is not float:
        raise TypeError(f"the count and the score of BEST are {correct!r} and {score!r}")
    mask = layout.unpack(checked_masks(arrays, "best_mask", layout))
    [individual] = individuals(mask[None], np.array([correct]), np.array([score]))
    return Best(individual, entry["figures"], entry["ancestry"])


def _packed_origins(population: list[Individual], layout: Layout, count: int) -> np.ndarray:
    """``uint8[digits, n, bytes]``: the binary digits of ``count`` origins, lowest digit first."""
    origins = np.stack([individual.origins for individual in population if individual.origins is not None])
    return layout.pack(np.stack([origins >> digit & 1 for digit in range(_digits(count))]))


def _unpacked_origins(arrays: Mapping[str, np.ndarray], layout: Layout, n: int, count: int) -> np.ndarray:
    """``uint8[n, f]``: inverse of :func:`_packed_origins`."""
    width = (layout.n_filters + 7) // 8
    packed = checked_array(arrays, "population_origins", np.uint8, _digits(count), n, width)
    origins = sum(layout.unpack(packed[digit]).astype(np.uint8) << digit for digit in range(_digits(count)))
    if not isinstance(origins, np.ndarray) or origins.max() >= count:
        raise ValueError("it has individuals of unknown origin")
    return origins


def _digits(count: int) -> int:
    """Binary digits that number ``count`` origins."""
    return max(1, (count - 1).bit_length())


def _front_arrays(front: Front, population: Sequence[Individual]) -> dict[str, np.ndarray]:
    """Rows, values and figures of the front; values and excess of the population."""
    values = [individual.values for individual in population if individual.values is not None]
    return {
        "population_values": np.stack(values),
        "population_excess": np.array([individual.excess for individual in population], np.float64),
        "front_rows": front.rows,
        "front_values": front.values,
        **{f"front_figure_{name}": np.ascontiguousarray(each) for name, each in front.figures.items()},
    }


def _aims(arrays: Mapping[str, np.ndarray], count: int) -> Aims:
    """The aims of a population of ``count`` individuals."""
    values = checked_array(arrays, "population_values", np.float64, count, None)
    excess = checked_array(arrays, "population_excess", np.float64, count)
    if values.size == 0 or not (excess >= 0).all() or not np.isfinite(values[excess == 0]).all():
        raise ValueError("its population has values that cannot be compared")
    return Aims(values, excess)


def _front(arrays: Mapping[str, np.ndarray], figures: Sequence[str], evaluations: int) -> Front:
    """The front. ``figures``: names of its figures. ``evaluations``: masks in the archive."""
    rows = checked_array(arrays, "front_rows", np.int64, None)
    # As many aims as the population has.
    values = checked_array(arrays, "front_values", np.float64, len(rows), arrays["population_values"].shape[1])
    if len(rows) and not 0 <= rows.min() <= rows.max() < evaluations:
        raise ValueError("its front has masks that the archive lacks")
    found = {name: arrays[f"front_figure_{name}"] for name in figures}
    checked_array(arrays, "front_figure_correct", np.int64, len(rows))
    if not all(each.shape == rows.shape and np.isfinite(each).all() for each in (*values.T, *found.values())):
        raise ValueError("its front has figures that are not one finite number for each mask")
    return Front(rows, values, found)
