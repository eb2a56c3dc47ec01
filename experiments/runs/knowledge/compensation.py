"""Compensation of a run: second moments of activations, gathered once, and images to recalibrate batch norms on.

Both come from training images. The moments are kept in the run; the calibration images are read again, and
recognised by their digest.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.errors import DataError, RunError
from engine.run.directory import RunDirectory
from experiments.data import datasets
from experiments.data.calibration import calibration_places
from experiments.data.loading import load_images, open_images
from experiments.data.options import DataOptions
from experiments.progress import Reporter
from experiments.runs.knowledge.artifacts import Artifact
from experiments.runs.options import CALIBRATION_IMAGES, NONE, SearchOptions, check_compensation
from experiments.runs.problem import Problem
from fitness.genome import Genome
from models.compensation.aims import RefitAims
from models.compensation.coefficients import Moments
from models.compensation.folding import compensated
from models.compensation.method import Compensation, recalibrates, regression_of
from models.compensation.moments import channels_read, gather_moments
from models.compensation.recalibration import Calibration, has_norms, recalibrated
from models.compensation.refit import refitted
from models.contract import Network
from models.errors import CompensationError
from models.model_directory import Model

SPLIT = "train"

CALIBRATION = "calibration_digest"
"""The entry of ``run.json`` by which the calibration images are recognised."""


class MomentsArtifact(Artifact[Compensation]):
    """The moments of the channels that the network's layers read, with the method that uses them."""

    entry = "compensation_digest"
    file = "moments.safetensors"
    purpose = "BEST cannot be compensated without this file"

    def needed(self, options: SearchOptions) -> bool:
        """See :class:`Artifact`."""
        return options.compensate != NONE

    def compute(self, problem: Problem) -> Compensation:
        """See :func:`gather`."""
        options = problem.options
        compensation = gather(
            problem.model,
            problem.genome,
            options.compensate,
            options.compensation_images,
            options.data,
            options.calibration_images,
            problem.reporter,
        )
        assert compensation is not None, "needed comes first"
        for missing in not_compensated(problem.model.network, compensation):
            problem.reporter.message(missing)
        return compensation

    def read(self, run: RunDirectory, problem: Problem) -> Compensation:
        """See :class:`Artifact`.

        Raises:
            RunError: see :class:`Artifact`; or the calibration images are others by now.
        """
        found = super().read(run, problem)
        if not recalibrates(found.method):
            return found
        options = problem.options
        calibration = calibration_of(problem.model, options.data, options.calibration_images)
        if calibration.digest() != run.description().get(CALIBRATION):
            raise RunError(
                f"the calibration images of `data` {options.data.data} are not those that {run.location} began "
                "with; give them with `data_dir`."
            )
        return Compensation(found.method, found.products, calibration)

    def encode(self, value: Compensation) -> bytes:
        """See :class:`Artifact`."""
        return serialise_safetensors(dict(value.products))

    def decode(self, content: bytes, options: SearchOptions) -> Compensation:
        """See :class:`Artifact`."""
        return Compensation(options.compensate, parse_safetensors(content))

    def digest(self, value: Compensation) -> str:
        """See :class:`Artifact`."""
        return value.digest()

    def misfit(self, value: Compensation, problem: Problem) -> str | None:
        """See :class:`Artifact`."""
        genome, expected = problem.genome, {}
        if value.regression is not None:
            expected = {
                name: (channels + 1, channels + 1)
                for name, channels in channels_read(genome.network, genome.layout.names).items()
            }
        for name in sorted(expected.keys() | value.products.keys()):
            found = value.products.get(name, np.zeros(0))
            if name not in expected or name not in value.products or found.shape != expected[name]:
                return f"{name!r} has shape {found.shape}, not {expected.get(name)}"
            if found.dtype != np.float64 or not _regressible(found):
                return f"{name!r} holds no second moments"
        return None


def gather(
    model: Model,
    genome: Genome,
    method: str,
    images: int,
    data: DataOptions,
    calibration_images: int = CALIBRATION_IMAGES,
    reporter: Reporter | None = None,
) -> Compensation | None:
    """Gather the moments of the genome's filters, and the calibration images; None for the method "none".

    Args:
        model: the unpruned network.
        genome: its filters.
        method: one of :data:`models.compensation.method.COMPENSATIONS`, or "none".
        images: number of training images for the moments at most, picked by the seed of ``data``.
        data: where the training split is, and which of its images masks are scored on.
        calibration_images: number of training images for statistics at most, picked by the same seed.
        reporter: hears which images the statistics are measured on.

    Raises:
        CompensationError: an unknown method, a network in which nothing can be compensated, or activations that
            are not finite.
        DataError: there is no training split, or it cannot be read.
    """
    if method == NONE:
        return None
    check_compensation(method, images, calibration_images)
    if SPLIT not in datasets.available_splits(data.data, data_dir=data.data_dir):
        raise DataError(
            f"`compensate` {method} needs training images and `data` {data.data} has no {SPLIT} split; give data "
            f"with one, or `compensate` {NONE}."
        )
    regression, calibration = regression_of(method), None
    if recalibrates(method):
        if not has_norms(model.network):
            raise CompensationError(
                f"`compensate` {method} measures the statistics of batch norms, and "
                f"{model.network.architecture.name} has none that can be found; give `compensate` "
                f"{regression or NONE}."
            )
        calibration = calibration_of(model, data, calibration_images, reporter)
    products: Mapping[str, np.ndarray] = {}
    if regression is not None:
        count = min(images, datasets.size(data.data, SPLIT, data_dir=data.data_dir, labelled=data.labelled))
        chosen = load_images(replace(data, split=SPLIT, images=count), model)
        products = gather_moments(model.network, model.normalisation, chosen.images, genome.layout.names)
    return Compensation(method, products, calibration)


def calibration_of(model: Model, data: DataOptions, count: int, reporter: Reporter | None = None) -> Calibration:
    """The images on which the statistics of batch norms are measured; the reporter hears which images these are.

    Raises:
        DataError: the training split cannot be read, or does not fit the model.
    """
    places, shared = calibration_places(data, count)
    if reporter is not None:
        whose = {0: "none of them a fitness image", len(places): "all of them fitness images too"}
        which = whose.get(shared, f"{shared:,} of them fitness images too")
        reporter.message(f"statistics of batch norms are measured on {len(places):,} training images, {which}.")
    stored = open_images(replace(data, split=SPLIT, images=None), model)
    return Calibration.of(model.network, stored.at(places).images, model.normalisation)


def not_compensated(network: Network, compensation: Compensation | None) -> list[str]:
    """A sentence on each layer that reads filters and cannot make up for removed ones, if others do."""
    if compensation is None or compensation.regression is None:
        return []
    return list(map(str, getattr(network, "not_compensated", ())))


def refitted_network(
    aims: RefitAims, keeps: Mapping[str, np.ndarray], compensation: Compensation | None
) -> Network:
    """The network of a run under ``keeps``, as large as the unpruned one, refitted.

    Args:
        aims: of the unpruned network.
        keeps: group name -> ``bool[group size]``, True = keep.
        compensation: of the search; None for none.

    Raises:
        CompensationError: see :func:`models.compensation.refit.refitted`.
    """
    start, calibration = aims.original, None
    if compensation is not None:
        # Statistics are measured behind the refitted weights.
        start, calibration = compensated(start, keeps, compensation), compensation.calibration
    return refitted(aims, start, keeps, calibration=calibration)


def network_of(network: Network, keeps: Mapping[str, np.ndarray], compensation: Compensation | None) -> Network:
    """The network whose masked logits a search scored for ``keeps``: ``network`` itself without compensation."""
    if compensation is None:
        return network
    folded = compensated(network, keeps, compensation)
    calibration = compensation.calibration
    return folded if calibration is None else recalibrated(folded, keeps, calibration)


def _regressible(products: np.ndarray) -> bool:
    """Whether coefficients follow from ``float64[c + 1, c + 1]`` for every slice of the channels."""
    with np.errstate(all="ignore"):
        covariance = Moments(products).covariance
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(covariance).all())
