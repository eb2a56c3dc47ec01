"""A search of VGG-16 that gets far in little time, for masks of a late generation to benchmark on.

Command: ``python -m experiments.benchmarks.late_search MODEL_DIR RUN_DIR --data cifar10``; two minutes on 2
cores. Expect BEST to drop 37% of the parameters and half as large a share of the MACs, as in the thesis
(38.8% and 19.5%), which needed thousands of evaluations of 50,000 images to get there.

The thesis's algorithm and settings on a few images, but for the initial population: its ladder removes more in
the last two blocks, where the filters are that a search of this network ends up removing.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from engine.layout import Layout
from engine.run.directory import RunDirectory
from engine.search.loop import Search
from engine.search.operators.population import revive_empty_layers
from engine.search.settings import SearchSettings
from experiments.data.loading import load_images
from experiments.data.options import DataOptions
from experiments.environment import versions
from experiments.runs.options import SearchOptions
from fitness.evaluation.evaluator import LocalEvaluator
from fitness.genome import Genome
from fitness.objective.cost import CostObjective
from models import model_directory

REMOVAL = {"conv4": 0.3, "conv5": 0.55}
"""Largest share of filters that an initial individual loses in a block; elsewhere :data:`ELSEWHERE`."""
ELSEWHERE = 0.06


def ladder(rng: np.random.Generator, layout: Layout, count: int) -> np.ndarray:
    """``bool[count, f]``, from the original to all of :data:`REMOVAL`."""
    largest = np.repeat([REMOVAL.get(name.split("_")[0], ELSEWHERE) for name in layout.names], layout.sizes)
    masks = rng.random((count, layout.n_filters)) >= np.linspace(0, 1, count)[:, None] * largest
    return revive_empty_layers(rng, layout, masks)


@click.command()
@click.argument("model_dir", type=click.Path(path_type=Path))
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--data", default="cifar10", show_default=True)
@click.option("--data-dir", envvar="EVOPRUNE_DATA_DIR")
@click.option("--images", default=256, show_default=True)
@click.option("--generations", default=20, show_default=True)
@click.option("--threshold", default=40.0, show_default=True)
def main(model_dir: Path, run_dir: Path, generations: int, threshold: float, **data: Any) -> None:
    """Search in RUN_DIR."""
    options = SearchOptions(str(model_dir), DataOptions(**data), generations, threshold)
    model = model_directory.load(model_dir)
    genome = Genome.of(model.network)
    images = load_images(options.data, model)
    evaluator = LocalEvaluator(model, genome.layout, images.images, images.labels)
    settings = SearchSettings(seed=1)
    search = Search(settings, genome.layout, evaluator, CostObjective(genome, threshold))
    search.toolbox.register("initialise", ladder, layout=genome.layout, count=settings.population)
    described = {**options.to_json(), "settings": asdict(settings)}
    run = RunDirectory.create(run_dir, {"configuration": described, "versions": versions()})
    with run.locked():
        state = search.start()
        for _ in range(generations):
            state = search.step(state)
            run.record(state, genome.layout, "late_search", {"seconds": 0.0})
            figures = state.best.figures
            click.echo(
                f"{state.generation}: parameter drop {figures['parameter_drop']:.1f}%, MAC drop "
                f"{figures['mac_drop']:.1f}%, accuracy drop {figures['accuracy_drop']:.1f}%"
            )


if __name__ == "__main__":
    main()
