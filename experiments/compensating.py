"""Compensation of a run: gathered once from training images, kept in the run directory ever after."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as serialise_safetensors

from engine.errors import DataError, OptionError, RunError
from engine.run_directory import RunDirectory
from experiments import datasets
from experiments.measuring import DataOptions, load_images
from fitness.genome import Genome
from models.compensation.coefficients import Moments
from models.compensation.compensation import Compensation, check_method
from models.compensation.folding import compensated
from models.compensation.moments import channels_read, gather_moments
from models.stages import Network
from models.store import Model

NONE = "none"
NAME = "moments.safetensors"
SPLIT = "train"


def check_compensation(method: str, images: int) -> None:
    """Refuse options that cannot be used.

    Raises:
        CompensationError: an unknown method.
        OptionError: no images.
    """
    if method != NONE:
        check_method(method)
    if images < 1:
        raise OptionError(f"--compensation-images must be 1 or more, not {images}.")


def gather(model: Model, genome: Genome, method: str, images: int, data: DataOptions) -> Compensation | None:
    """Compensation of the genome's filters; None for ``--compensate none``.

    Args:
        model: the original.
        genome: its filters.
        method: ``--compensate``.
        images: at most this many of the training split, picked by the seed of ``data``.
        data: where the split is; its own ``split`` and ``images`` do not matter.

    Raises:
        CompensationError: an unknown method, a network in which nothing can be compensated, or activations that
            are not finite.
        DataError: there is no training split, or it cannot be read.
    """
    if method == NONE:
        return None
    check_compensation(method, images)
    if SPLIT not in datasets.available_splits(data.data, data_dir=data.data_dir):
        raise DataError(
            f"--compensate {method} needs training images and --data {data.data} has no {SPLIT} split; give data "
            f"with one, or --compensate {NONE}."
        )
    count = min(images, datasets.size(data.data, SPLIT, data_dir=data.data_dir))
    chosen = load_images(replace(data, split=SPLIT, images=count), model)
    products = gather_moments(model.network, model.normalisation, chosen.images, genome.layout.names)
    return Compensation(method, products)


def network_of(network: Network, keeps: Mapping[str, np.ndarray], compensation: Compensation | None) -> Network:
    """The network whose masked logits a search scored for ``keeps``: the original itself without compensation."""
    return network if compensation is None else compensated(network, keeps, compensation)


def write(run: RunDirectory, compensation: Compensation | None) -> None:
    """Keep the moments in the run directory."""
    if compensation is not None:
        run.store.write(NAME, serialise_safetensors(dict(compensation.products)))


def read(run: RunDirectory, method: str, genome: Genome) -> Compensation | None:
    """The compensation of a run that was begun with this ``--compensate``, of the genome's filters.

    Raises:
        RunError: its file is missing, is not the one that the run began with, or holds no moments of the
            genome's network.
    """
    if method == NONE:
        return None
    where = run.store.full_name(NAME)
    try:
        products: dict[str, np.ndarray] = parse_safetensors(run.store.read(NAME))
    except FileNotFoundError:
        raise RunError(f"{where} is missing, and without it BEST cannot be compensated; restore it.") from None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{where} is damaged ({error}); restore it.") from error
    compensation = Compensation(method, products)
    if compensation.digest() != run.description().get("compensation_digest"):
        raise RunError(f"{where} is not the one that the run began with; restore it.")
    _check_fit(where, products, genome)
    return compensation


def _check_fit(where: str, products: Mapping[str, np.ndarray], genome: Genome) -> None:
    """The digest lies beside the file, so that one who can exchange the one can exchange the other."""
    expected = {
        name: (channels + 1, channels + 1)
        for name, channels in channels_read(genome.network, genome.layout.names).items()
    }
    for name in sorted(expected.keys() | products.keys()):
        found = products.get(name, np.zeros(0))
        if name not in expected or name not in products or found.shape != expected[name]:
            raise RunError(
                f"{where} does not fit the network: {name!r} has shape {found.shape}, not "
                f"{expected.get(name)}; restore it."
            )
        if found.dtype != np.float64 or not _regressible(found):
            raise RunError(f"{where} holds no second moments in {name!r}; restore it.")


def _regressible(products: np.ndarray) -> bool:
    """Whether coefficients follow from ``float64[c + 1, c + 1]`` for every slice of the channels."""
    with np.errstate(all="ignore"):
        covariance = Moments(products).covariance
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(covariance).all())


def digest(compensation: Compensation | None) -> dict[str, Any]:
    """The entry of ``run.json`` by which :func:`read` knows the moments."""
    return {} if compensation is None else {"compensation_digest": compensation.digest()}
