"""BEST of a run, to be compared with other masks of the same model."""

import os
from typing import NamedTuple

import numpy as np

from engine.errors import RunError
from experiments.progress import Reporter
from experiments.runs.knowledge.knowledge import read_compensation
from experiments.runs.problem import Problem
from experiments.runs.saved import SavedRun
from fitness.genome import Genome
from models.compensation.method import Compensation
from models.model_directory import Model


def searched_filters(location: str | os.PathLike[str]) -> str:
    """The ``prune`` of the run at ``location``.

    Raises:
        RunError: there is no run, or its description is damaged.
    """
    return SavedRun.open(location).options.prune


class SearchedBest(NamedTuple):
    """BEST of a run: ``mask``, ``bool[f]``, after ``generation`` generations and ``evaluations`` masks.

    ``compensation``: with which BEST was scored.
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
    saved = SavedRun.open(location, reporter=reporter)
    state = saved.newest.state
    if saved.description.get("model_digest") != model.digest():
        raise RunError(f"`run` {saved.run.location} searched another model; give a search of this one.")
    if saved.newest.layout != genome.layout:
        raise RunError(f"`run` {saved.run.location} searched other filters of the model; give its `prune`.")
    compensation = read_compensation(saved.run, Problem(saved.options, model, genome))
    return SearchedBest(
        saved.run.location, state.best.individual.mask, state.generation, state.evaluations, compensation
    )
