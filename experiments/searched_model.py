"""The model that a run searched and its BEST. A model is recognised by its digest, not by its shape."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.checkpoint import Checkpoint
from engine.errors import RunError
from engine.run_directory import RunDirectory
from experiments import compensating
from experiments.progress import Reporter
from experiments.search_options import SearchOptions
from fitness.genome import Genome
from models import store
from models.compensation.compensation import Compensation
from models.store import Model


def load_searched_model(run: RunDirectory, checkpoint: Checkpoint, directory: str, prune: str) -> Model:
    """The model that a run searched; ``prune`` names the filters.

    Raises:
        StoreError: it cannot be read.
        RunError: the directory holds another model by now, or the checkpoint is of another run.
    """
    model = store.load(Path(directory))
    if run.description().get("model_digest") != model.digest():
        raise RunError(
            f"the model in {directory} is not the one that {run.location} searched; give it with --model."
        )
    if checkpoint.layout != Genome.of(model.network, prune).layout:
        raise RunError(f"the checkpoints in {run.location} belong to another run; restore the right ones.")
    return model


def searched_filters(location: str | os.PathLike[str]) -> str:
    """The ``--prune`` of the run at ``location``.

    Raises:
        RunError: there is no run, or its description is damaged.
    """
    return SearchOptions.from_json(RunDirectory.open(location).description().get("configuration")).prune


class SearchedBest(NamedTuple):
    """BEST of a run: ``mask``, ``bool[f]``, after ``generation`` generations and ``evaluations`` masks.

    ``compensation``: with which it was scored.
    """

    location: str
    mask: np.ndarray
    generation: int
    evaluations: int
    compensation: Compensation | None


def read_best(location: str | os.PathLike[str], model: Model, genome: Genome, reporter: Reporter) -> SearchedBest:
    """BEST of the run at ``location``, which must be a search of the same filters of the same model.

    Raises:
        RunError: it is not, has no checkpoint yet, or its compensation is lost.
    """
    run = RunDirectory.open(location)
    checkpoint = run.latest(reporter.message)
    if checkpoint is None:
        raise RunError(f"{run.location} has no checkpoint yet; run 'evoprune resume {run.location}' first.")
    if run.description().get("model_digest") != model.digest():
        raise RunError(f"--run {run.location} searched another model; give a search of this one.")
    if checkpoint.layout != genome.layout:
        raise RunError(f"--run {run.location} searched other filters of the model; give its --prune.")
    state = checkpoint.state
    options = SearchOptions.from_json(run.description().get("configuration"))
    compensation = compensating.read(run, options.compensate, genome)
    return SearchedBest(
        run.location, state.best.individual.mask, state.generation, state.evaluations, compensation
    )
