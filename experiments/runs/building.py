"""Building what a search needs: its operators and objective, and its evaluator in this process or on Ray."""

import os
from dataclasses import replace
from typing import Any

from engine.contracts import Objective
from engine.search.loop import Search
from engine.search.operators.guide import Guide
from experiments.progress import Reporter
from experiments.runs.knowledge.knowledge import Knowledge
from experiments.runs.options import Backend
from experiments.runs.problem import Problem
from fitness.evaluation.evaluator import LocalEvaluator, RayEvaluator, ShardedEvaluator, usual_batch
from fitness.objective.cost import CostObjective, MaskLatency
from fitness.objective.front import FrontObjective
from fitness.seeding.founders import BELOW, SeededFounders


def make_search(
    problem: Problem, knowledge: Knowledge, evaluator: ShardedEvaluator, reach: float | None = None
) -> Search:
    """The search that the options ask for; ``reach``: see :class:`fitness.objective.cost.CostObjective`."""
    options, layout = problem.options, problem.genome.layout
    latency = None if knowledge.latency is None else MaskLatency(knowledge.latency, layout)
    cost = CostObjective(
        problem.genome, options.threshold, options.weight, options.offset, options.objective, latency, reach
    )
    objective: Objective = FrontObjective(cost, options.aims, options.limit) if options.aims else cost
    founders = guide = None
    if knowledge.importances is not None:
        # For a front, founders cover drops up to the limit.
        border, below = (options.limit, 1.0) if options.aims else (reach or options.threshold, BELOW)
        climbed = replace(cost, threshold=border, reach=None)
        founders = SeededFounders(
            knowledge.importances, layout, options.settings, climbed, options.ladders, below
        )
    if options.settings.guided:
        guide = Guide.of(list((knowledge.importances or {}).values()), layout)
    front = bool(options.aims)
    return Search(options.settings, layout, evaluator, objective, founders, guide, front=front)


def make_evaluator(
    problem: Problem, knowledge: Knowledge, backend: Backend, reporter: Reporter
) -> ShardedEvaluator:
    """The evaluator of a backend.

    Raises:
        BackendError: Ray is not installed or has no room.
    """
    options, images = problem.options, problem.evaluation_images
    settings = options.settings
    # A race needs the random order that the images are in; without stopping any order will do.
    order = "hardest-first" if settings.stop_early and settings.race == 0 else "given"
    data = (
        problem.model,
        problem.genome.layout,
        images.images,
        images.labels,
        options.batch_size or usual_batch(gpu=backend.on_gpu()),
    )
    chosen: dict[str, Any] = {
        "precision": options.precision,
        "order": order,
        "pauses": settings.stop_early,
        "compensation": knowledge.compensation,
        "kept_bytes": backend.keep_memory << 20,
    }
    if backend.name == "local":
        return LocalEvaluator(*data, **chosen)
    return RayEvaluator(*data, backend.pool, reporter.message, watch=reporter.workers, **chosen)


def report_precision(evaluator: ShardedEvaluator, reporter: Reporter) -> dict[str, int] | None:
    """Say what a precision other than float32 changes for the unpruned network; None for float32."""
    if evaluator.precision == "float32":
        return None
    compared = evaluator.compare_precision()
    reporter.message(
        f"{evaluator.precision} gets {compared['correct']:,} of {evaluator.total:,} images right and float32 "
        f"{compared['float32_correct']:,}; they answer {compared['images_that_differ']:,} images differently."
    )
    return compared


def prepare_driver(backend: Backend) -> None:
    """Leave the GPUs to the workers: by default JAX takes most of a GPU's memory for this process.

    Has no effect once JAX has touched a GPU, so it comes before the model is read.
    """
    if backend.name == "ray":
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
