"""The whole state of a search between two generations, and its form on disk.

Nothing else decides the search's future: a search that continues from here is the search that never
stopped, bit for bit. There is no clock in it, so equal searches have equal bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.archive import Archive
from engine.archive_arrays import archive_arrays, read_archive
from engine.best import Best
from engine.checked_arrays import checked_array, checked_masks
from engine.front import Front
from engine.front_arrays import front_arrays, read_aims, read_front
from engine.individual import Individual, individuals
from engine.islands import Island
from engine.layout import Layout
from engine.metadata import metadata


@dataclass
class SearchState:
    """Islands, archive, BEST and counters after ``generation`` generations.

    Each island has a population and a random generator; archive, BEST and counters are of all together.
    ``evaluations`` counts distinct masks evaluated, ``failures`` those that answered NaN or infinity,
    ``stopped`` those that were evaluated in part because they could not matter. ``origins`` are the names of what
    individuals descend from (:mod:`engine.ancestry`); none where that is not kept. ``front`` is that of
    everything evaluated (:mod:`engine.front`), where a front is searched for.
    """

    generation: int
    islands: list[Island]
    best: Best
    archive: Archive
    original_correct: int
    evaluations: int
    failures: int
    stopped: int
    origins: tuple[str, ...] = ()
    front: Front | None = None

    @property
    def population(self) -> list[Individual]:
        """The individuals of all islands, one island after the other."""
        return [individual for island in self.islands for individual in island.population]

    def to_bytes(self, layout: Layout, identity: str) -> bytes:
        """Serialise; ``identity`` names the configuration that the state belongs to."""
        best, population = self.best.individual, self.population
        arrays = {
            "population_masks": layout.pack(np.stack([i.mask for i in population])),
            "population_correct": np.array([i.correct for i in population], np.int64),
            "population_scores": np.array([i.score for i in population], np.float64),
            "best_mask": layout.pack(best.mask),
            **archive_arrays(self.archive),
        }
        header: dict[str, Any] = {
            "identity": identity,
            "generation": self.generation,
            "original_correct": self.original_correct,
            "evaluations": self.evaluations,
            "failures": self.failures,
            "stopped": self.stopped,
            "layout": {"names": layout.names, "sizes": layout.sizes},
            "best": {"correct": best.correct, "score": best.score, "figures": self.best.figures},
            "islands": [
                {"population": len(island.population), "rng": island.rng.bit_generator.state}
                for island in self.islands
            ],
        }
        if self.origins:
            arrays["population_origins"] = _packed_origins(population, layout, len(self.origins))
            header["origins"] = self.origins
            header["best"]["ancestry"] = self.best.ancestry
        if self.front is not None:
            arrays |= front_arrays(self.front, population)
            header["front"] = list(self.front.figures)
        # One metadata entry: safetensors does not promise an order for several.
        return serialise_safetensors(arrays, metadata={"state": json.dumps(header)})

    @classmethod
    def from_bytes(cls, content: bytes) -> tuple["SearchState", Layout, str]:
        """Inverse of :meth:`to_bytes`: the state, its layout and its identity.

        Raises:
            ValueError, KeyError, TypeError: ``content`` is something else, or its arrays do not fit its layout.
                Its checksum is the caller's business (:mod:`engine.checkpoint`), and whether a search can have
                reached that state (:mod:`engine.state_checks`).
        """
        header = json.loads(metadata(content)["state"])
        arrays = parse_safetensors(content)
        layout = Layout(tuple(header["layout"]["names"]), tuple(header["layout"]["sizes"]))
        origins = tuple(header.get("origins", ()))
        archive = read_archive(arrays, layout)
        state = cls(
            generation=header["generation"],
            islands=_islands(header, _population(arrays, layout, len(origins), aims="front" in header)),
            best=_best(header["best"], arrays, layout, with_ancestry=bool(origins)),
            archive=archive,
            original_correct=header["original_correct"],
            evaluations=header["evaluations"],
            failures=header["failures"],
            # Checkpoints of 0.1.0 know no stopping.
            stopped=header.get("stopped", 0),
            origins=origins,
            front=read_front(arrays, header["front"], len(archive)) if "front" in header else None,
        )
        return state, layout, header["identity"]


def _population(
    arrays: Mapping[str, np.ndarray], layout: Layout, origins: int, *, aims: bool
) -> list[Individual]:
    """The individuals of a checkpoint with so many origins, and with aims where a front is searched for."""
    masks = layout.unpack(checked_masks(arrays, "population_masks", layout, None))
    return individuals(
        masks,
        checked_array(arrays, "population_correct", np.int64, len(masks)),
        checked_array(arrays, "population_scores", np.float64, len(masks)),
        _unpacked_origins(arrays, layout, len(masks), origins) if origins else None,
        read_aims(arrays, len(masks)) if aims else None,
    )


def _best(
    entry: dict[str, Any], arrays: Mapping[str, np.ndarray], layout: Layout, *, with_ancestry: bool
) -> Best:
    correct, score = entry["correct"], entry["score"]
    if type(correct) is not int or type(score) is not float:
        raise TypeError(f"the count and the score of BEST are {correct!r} and {score!r}")
    mask = layout.unpack(checked_masks(arrays, "best_mask", layout))
    [individual] = individuals(mask[None], np.array([correct]), np.array([score]))
    return Best(individual, entry["figures"], entry["ancestry"] if with_ancestry else None)


def _islands(header: dict[str, Any], population: list[Individual]) -> list[Island]:
    """The islands of a checkpoint, whose individuals stand one island after the other."""
    # Before there were islands there was one population, with a generator of its own.
    known = header.get("islands") or [{"population": len(population), "rng": header["rng"]}]
    sizes = [entry["population"] for entry in known]
    if not all(type(size) is int and size > 0 for size in sizes) or sum(sizes) != len(population):
        raise ValueError("its islands do not add up to its population, or one is empty")
    islands, first = [], 0
    for entry, size in zip(known, sizes, strict=True):
        rng = np.random.Generator(np.random.PCG64())
        rng.bit_generator.state = entry["rng"]
        islands.append(Island(population[first : first + size], rng))
        first += size
    return islands


def _packed_origins(population: list[Individual], layout: Layout, count: int) -> np.ndarray:
    """``uint8[planes, n, bytes]``: the binary digits of the origins, lowest first; ``count`` origins."""
    origins = np.stack([individual.origins for individual in population if individual.origins is not None])
    return layout.pack(np.stack([origins >> plane & 1 for plane in range(_planes(count))]))


def _unpacked_origins(arrays: Mapping[str, np.ndarray], layout: Layout, n: int, count: int) -> np.ndarray:
    """``uint8[n, f]``: inverse of :func:`_packed_origins`."""
    width = (layout.n_filters + 7) // 8
    packed = checked_array(arrays, "population_origins", np.uint8, _planes(count), n, width)
    origins = sum(layout.unpack(packed[plane]).astype(np.uint8) << plane for plane in range(_planes(count)))
    if not isinstance(origins, np.ndarray) or origins.max() >= count:
        raise ValueError("it has individuals of unknown origin")
    return origins


def _planes(count: int) -> int:
    return max(1, (count - 1).bit_length())
