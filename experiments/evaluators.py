"""The evaluator that a search's options and backend ask for."""

from experiments.datasets import ImageSet
from experiments.progress import Reporter
from experiments.search_options import Backend, SearchOptions
from fitness.evaluator import CPU_BATCH, LocalEvaluator, RayEvaluator, ShardedEvaluator
from fitness.genome import Genome
from models.compensation.compensation import Compensation
from models.store import Model


def make_evaluator(
    model: Model,
    genome: Genome,
    images: ImageSet,
    options: SearchOptions,
    backend: Backend,
    reporter: Reporter,
    compensation: Compensation | None,
) -> ShardedEvaluator:
    """The evaluator of a backend.

    Raises:
        BackendError: Ray is not installed or has no room.
    """
    settings = options.settings
    # A race needs the random order that the images are in; without stopping any order will do.
    order = "hardest-first" if settings.stop_early and settings.race == 0 else "given"
    settled = options.on(backend)
    batch, precision, pauses = settled.batch_size or CPU_BATCH, settled.precision, settings.stop_early
    data = (model, genome.layout, images.images, images.labels, batch)
    if backend.name == "local":
        return LocalEvaluator(*data, precision=precision, order=order, pauses=pauses, compensation=compensation)
    return RayEvaluator(
        *data,
        backend.pool,
        reporter.message,
        precision=precision,
        order=order,
        pauses=pauses,
        compensation=compensation,
        watch=reporter.workers,
    )


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
