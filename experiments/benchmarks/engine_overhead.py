"""Measures the engine's own time for a generation: everything but the evaluation of masks.

Command: ``python -m experiments.benchmarks.engine_overhead [--directory FOLDER]``. Seconds. Expect less than
50 ms for a population of 300 and 20 offspring of a VGG-16, most of it syncing the checkpoint to disk;
``docs/benchmarks.md`` has the figures.

The search loop runs in a real run directory, with an evaluator that answers at once.
"""

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import click
import numpy as np

from engine.contracts import Target
from engine.run.directory import RunDirectory
from engine.search.loop import Search
from engine.search.settings import SearchSettings
from engine.search.state import SearchState
from experiments.markdown import table
from fitness.genome import Genome
from fitness.objective.cost import CostObjective
from models.networks.registry import NETWORKS

WARM = 30
"""Generations before any is timed: the population has to fill up, or nothing is truncated."""


class Instant:
    """Counts that fall with each removed filter, for 50,000 images, at no cost."""

    total = 50_000

    def evaluate(self, masks: np.ndarray, target: Target | None = None) -> np.ndarray:
        """See :class:`engine.contracts.Evaluator`."""
        return 43_000 - 20 * np.count_nonzero(~masks, axis=1)


@click.command()
@click.option("--generations", default=30, show_default=True, help="Timed, after as many untimed.")
@click.option("--directory", type=click.Path(path_type=Path), help="Where to write the run; a temporary folder.")
def main(generations: int, directory: Path | None) -> None:
    """Milliseconds a generation of VGG-16, without evaluation."""
    genome = Genome.of(NETWORKS["vgg16"]().blank())
    rows = []
    for pairing, offspring in (("adjacent", 20), ("all", 180)):
        settings = SearchSettings(population=300, parents=10, pairing=pairing)
        search = Search(settings, genome.layout, Instant(), CostObjective(genome))
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            stepping, recording, state = timed(search, Path(folder) / "run", generations)
        rows.append(
            [
                f"{offspring}",
                f"{state.evaluations:,}",
                f"{1e3 * statistics.median(stepping):.1f}",
                f"{1e3 * statistics.median(recording):.1f}",
                f"{1e3 * max(a + b for a, b in zip(stepping, recording, strict=True)):.1f}",
            ]
        )
    header = ["offspring", "archive", "search (ms)", "checkpoint and journal (ms)", "slowest generation (ms)"]
    click.echo(table(header, rows))


def timed(search: Search, path: Path, generations: int) -> tuple[list[float], list[float], SearchState]:
    """Seconds of the search's step and of making it durable, for each generation."""
    run = RunDirectory.create(path, {"benchmark": "engine_overhead"})
    state = search.start()
    stepping, recording = [], []
    with run.locked():
        for generation in range(WARM + generations):
            started = perf_counter()
            state = search.step(replace(state))
            stepped = perf_counter()
            run.record(state, search.layout, "benchmark", {"seconds": 0.0})
            if generation >= WARM:
                stepping.append(stepped - started)
                recording.append(perf_counter() - stepped)
    return stepping, recording, state


if __name__ == "__main__":
    main()
