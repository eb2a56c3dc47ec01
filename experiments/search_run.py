"""Starting and resuming searches in run directories: the ``search`` and ``resume`` commands."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from engine.archive import Archive
from engine.errors import OptionError, RunError
from engine.run_directory import RunDirectory, identity_of
from engine.search import Search
from engine.state import SearchState
from experiments import compensating, fitness_images, guidance, latency_table
from experiments.environment import hardware, versions
from experiments.evaluators import make_evaluator, report_precision
from experiments.held_out import measure_held_out
from experiments.importances import compute_importances
from experiments.measuring import load_images
from experiments.patience import Patience
from experiments.progress import Reporter, Silent
from experiments.ray_metrics import with_metrics
from experiments.search_options import Backend, SearchOptions
from experiments.status import summary
from fitness.evaluator import ShardedEvaluator
from fitness.front_objective import FrontObjective
from fitness.genome import Genome
from fitness.latency import MaskLatency
from fitness.objective import CostObjective
from fitness.seeding import BELOW, SeededFounders
from models import store
from models.latency.table import LatencyTable
from models.store import Model


def start_search(
    directory: str | os.PathLike[str],
    options: SearchOptions,
    backend: Backend | None = None,
    *,
    evaluations: int | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Search in a new run directory, a path or a URL, until ``options.generations``.

    Or until ``evaluations`` masks have been evaluated, if that is sooner; the last generation is finished.

    Returns:
        generation, evaluations, complete, best and held_out; see :func:`experiments.status.summary`.

    Raises:
        RunError: the directory holds a run already.
        EvopruneError, NetworkError: model, data or backend cannot be used; nothing was written.
    """
    run = RunDirectory(directory)
    run.check_free()
    backend = backend or Backend()
    reporter = with_metrics(reporter or Silent(), backend.name, run.location)
    options = replace(options, model=str(Path(options.model).resolve()), data=options.data.resolved())
    options = options.on(backend)
    with _prepared(options, backend, reporter, begins=True) as (search, identity, model, evaluator, known):
        importances, table, images = known
        description = _description(options, identity, search, backend, model) | images
        description |= compensating.digest(evaluator.compensation) | latency_table.digest(table)
        description |= guidance.digest(importances) if options.settings.guided else {}
        description["precision_difference"] = report_precision(evaluator, reporter)
        with run.locked():
            run.check_free()
            # Before the description, without which it is no run yet.
            compensating.write(run, evaluator.compensation)
            latency_table.write(run, table)
            if options.settings.guided:
                guidance.write(run, importances)
            description["images"] = evaluator.total
            run.begin(description)
            prepared = (search, identity, options, backend, reporter, model, evaluator)
            return _continue(run, *prepared, None, evaluations)


def resume_search(
    directory: str | os.PathLike[str],
    *,
    generations: int | None = None,
    patience: int | None = None,
    evaluations: int | None = None,
    backend: Backend | None = None,
    model: str | None = None,
    data_dir: str | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Continue a run from its newest whole checkpoint, as if it had never stopped.

    Args:
        directory: of the run, a path or a URL.
        generations: the new total; the run's own if None.
        patience: generations without progress after which it ends; the run's own if None.
        evaluations: stop, in this call, once so many masks have been evaluated in all.
        backend: may differ from the one that the run began on, which is the default.
        model: where the model is now, if it moved.
        data_dir: where the data is now, if it moved.
        reporter: receives progress.

    Raises:
        RunError: no run there, another model or other data than it began with, or fewer generations than
            it has behind it.
        CheckpointError: every checkpoint is damaged.
    """
    run = RunDirectory.open(directory)
    with run.locked():
        return _resume(run, generations, patience, evaluations, backend, model, data_dir, reporter or Silent())


def _resume(
    run: RunDirectory,
    generations: int | None,
    patience: int | None,
    evaluations: int | None,
    backend: Backend | None,
    model: str | None,
    data_dir: str | None,
    reporter: Reporter,
) -> dict[str, Any]:
    description = run.description()
    options = SearchOptions.from_json(description.get("configuration"))
    backend = backend or Backend.from_json(description.get("backend"))
    reporter = with_metrics(reporter, backend.name, run.location)
    if model is not None:
        options = replace(options, model=str(Path(model).resolve()))
    if data_dir is not None:
        options = replace(options, data=options.data.moved(data_dir))
    checkpoint = run.latest(reporter.message)
    reached = 0 if checkpoint is None else checkpoint.state.generation
    if generations is not None:
        if generations < reached:
            raise OptionError(
                f"--generations {generations} is the new total and the run has {reached} behind it; give more."
            )
        options = replace(options, generations=generations)
    if patience is not None:
        options = replace(options, patience=patience)
    prepared = _prepared(options, backend, reporter, begins=checkpoint is None, begun=run)
    with prepared as (search, identity, loaded, evaluator, _):
        if identity != description.get("identity"):
            raise RunError(
                f"the model or the data are not those that {run.location} began with; give them with --model and "
                "--data-dir."
            )
        if checkpoint is not None and (checkpoint.identity, checkpoint.layout) != (identity, search.layout):
            raise RunError(f"the checkpoints in {run.location} belong to another run; restore the right ones.")
        if options.to_json() != description["configuration"]:
            run.write_description({**description, "configuration": options.to_json()})
        run.rewind(checkpoint)
        state = None if checkpoint is None else checkpoint.state
        return _continue(run, search, identity, options, backend, reporter, loaded, evaluator, state, evaluations)


def _continue(
    run: RunDirectory,
    search: Search,
    identity: str,
    options: SearchOptions,
    backend: Backend,
    reporter: Reporter,
    model: Model,
    evaluator: ShardedEvaluator,
    state: SearchState | None,
    evaluations: int | None,
) -> dict[str, Any]:
    """The main loop's surroundings: make each generation durable, then tell about it."""
    started = perf_counter()
    patience = Patience(options.patience, () if state is None else run.journal())

    def record(state: SearchState) -> None:
        nonlocal started
        timing = {"seconds": round(perf_counter() - started, 4), "backend": backend.name}
        if figures := evaluator.workers():
            timing["workers"] = figures.to_json()
        run.record(state, search.layout, identity, timing)
        reporter.generation(state, options.generations)
        patience.see(state)
        started = perf_counter()

    def keep(archive: Archive) -> None:
        run.record_founding(archive, identity)
        reporter.founding(len(archive))

    def enough(state: SearchState) -> bool:
        return patience.exhausted or (evaluations is not None and state.evaluations >= evaluations)

    if state is None:
        counted = run.founding(search.layout, identity, reporter.message)
        state = search.start(counted, keep)
        record(state)
    else:
        reporter.generation(state, options.generations)
    state = search.run(state, options.generations, record, enough)
    mask = state.best.individual.mask
    held_out = measure_held_out(run, model, options, mask, reporter, evaluator.compensation)
    told = options.generations, options.objective
    return {**summary(state, *told, out_of_patience=patience.exhausted), "held_out": held_out}


class _Known(NamedTuple):
    """What a run keeps of its beginning: ``images`` is the entry of ``run.json`` for the fitness images."""

    importances: guidance.Importances
    table: LatencyTable | None
    images: dict[str, str]


@contextmanager
def _prepared(
    options: SearchOptions,
    backend: Backend,
    reporter: Reporter,
    *,
    begins: bool,
    begun: RunDirectory | None = None,
) -> Iterator[tuple[Search, str, Model, ShardedEvaluator, _Known]]:
    """Model, data and evaluator of a search, and what else it knows; workers end with the block.

    Only a search that ``begins``, at generation 0, needs founders, and the time that importances take, unless its
    operators go by them. ``begun`` is a run to go on with, whose compensation, importances and latency table are
    then taken.
    """
    if backend.name == "ray":
        # This process evaluates little itself; by default JAX would take most of a GPU from the workers.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    model = store.load(Path(options.model))
    genome = Genome.of(model.network, options.prune)
    images = load_images(options.data, model)
    seen = fitness_images.digest(images)
    if options.settings.race > 0:
        # The first images have to be a random sample of all; files are often sorted by class.
        images = images.shuffled(options.data.seed)
    if begun is None:
        chosen = options.compensate, options.compensation_images
        compensation = compensating.gather(model, genome, *chosen, options.data)
        table = latency_table.measured(genome, options.objective, options.latency_batch, reporter)
    else:
        compensation = compensating.read(begun, options.compensate, genome)
        table = latency_table.read(begun, options.objective)
    importances: guidance.Importances = {}
    if begun is not None and options.settings.guided:
        importances = guidance.read(begun, options.seeds, genome.layout)
    elif begins and options.seeds:
        importances = compute_importances(options.seeds, model, genome, images, options.settings.seed, reporter)
    algorithm = options.threshold, options.weight, options.offset
    latency = None if table is None else MaskLatency(table, genome.layout)
    objective = CostObjective(genome, *algorithm, options.objective, latency)
    identity = identity_of(
        {
            "settings": options.settings.course(),
            "objective": [options.objective, *algorithm],
            "genome": [options.prune, genome.layout.names, genome.layout.sizes],
            "batch_size": options.batch_size,
            "precision": options.precision,
            "model": model.digest(),
            "images": images.digest(),
            # Searches without these keep the identity that they had before there were any.
            **({"seed_with": options.seeds} if options.seeds else {}),
            **({"ladders": asdict(options.ladders)} if options.floor is not None or options.climb else {}),
            **(guidance.digest(importances) if options.settings.guided else {}),
            **compensating.digest(compensation),
            **latency_table.digest(table),
            # Nor do searches for one best mask know of fronts.
            **({"objectives": [options.aims, options.limit]} if options.aims else {}),
        }
    )
    founders = None
    if begins and options.seeds:
        # Those of a front are to stand all along it.
        reach, below = (replace(objective, threshold=options.limit), 1.0) if options.aims else (objective, BELOW)
        known = importances, genome.layout, options.settings
        founders = SeededFounders(*known, reach, options.ladders, below)
    guide = guidance.guide_of(importances, genome.layout) if options.settings.guided else None
    with make_evaluator(model, genome, images, options, backend, reporter, compensation) as evaluator:
        judge = FrontObjective(objective, options.aims, options.limit) if options.aims else objective
        front = options.objectives is not None
        search = Search(options.settings, genome.layout, evaluator, judge, founders, guide, front=front)
        yield search, identity, model, evaluator, _Known(importances, table, seen)


def _description(
    options: SearchOptions, identity: str, search: Search, backend: Backend, model: Model
) -> dict[str, Any]:
    return {
        "configuration": options.to_json(),
        "identity": identity,
        "layout": {"names": search.layout.names, "sizes": search.layout.sizes},
        "model_digest": model.digest(),
        "backend": asdict(backend),
        "versions": versions(),
        "hardware": hardware(),
    }
