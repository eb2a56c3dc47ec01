"""From a run's BEST mask to a physically smaller model directory: the ``export`` command."""

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from engine.errors import RunError
from engine.layout import mask_sha256
from engine.run_directory import RunDirectory
from experiments import compensating
from experiments.environment import versions
from experiments.measuring import load_images
from experiments.progress import Reporter, Silent
from experiments.search_options import SearchOptions
from experiments.searched_model import load_searched_model
from fitness.genome import Genome
from models import store
from models.compensation.folding import compensated
from models.cost import network_cost
from models.pruning import prune
from models.store import Model

PARITY_IMAGES = 256
TOLERANCE = 1e-3
"""Largest difference of logits, relative to the largest logit. Removing zeros from sums of float32 only
reorders them; a wrong channel shows as differences of order one."""


def export_run(
    run_directory: str | os.PathLike[str],
    directory: Path,
    *,
    model: str | None = None,
    data_dir: str | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Prune the run's model with BEST, check that logits agree on real images, and write the result.

    Args:
        run_directory: of the search, a path or a URL.
        directory: of the pruned model; must not exist, or be empty.
        model: where the run's model is now, if it moved.
        data_dir: where the run's data is now, if it moved.
        reporter: receives sentences for the user.

    Raises:
        RunError: the run has no checkpoint yet, or its logits differ from the pruned network's.
        StoreError: the directory is occupied.
    """
    directory = Path(directory)
    reporter = reporter or Silent()
    store.check_target(directory)
    run = RunDirectory.open(run_directory)
    options = SearchOptions.from_json(run.description().get("configuration"))
    checkpoint = run.latest(reporter.message)
    if checkpoint is None:
        raise RunError(f"{run.location} has no checkpoint yet; run 'evoprune resume {run.location}' first.")
    original = load_searched_model(run, checkpoint, model or options.model, options.prune)
    images = load_images(options.data if data_dir is None else options.data.moved(data_dir), original)
    mask = checkpoint.state.best.individual.mask
    genome = Genome.of(original.network, options.prune)
    keeps = genome.layout.split(mask)
    compensation = compensating.read(run, options.compensate)
    masked = original
    if compensation is not None:
        changed = compensated(original.network, keeps, compensation)
        masked = Model(changed, original.normalisation, original.classes)
    smaller = Model(prune(masked.network, keeps), original.normalisation, original.classes)
    difference = logit_difference(masked, keeps, smaller, images.images[:PARITY_IMAGES])
    parameters, macs = network_cost(smaller.network)
    base_parameters, base_macs = network_cost(original.network)
    removed = int((~mask).sum())
    if removed == 0:
        reporter.message("BEST removes nothing: the exported network equals the original.")
    smaller.notes = {
        "pruned_from": {
            "model_digest": original.digest(),
            "mask_sha256": mask_sha256(mask),
            "generation": checkpoint.state.generation,
            "parameters": base_parameters,
            "macs": base_macs,
            "compensation": options.compensate,
        },
        "data": original.notes.get("data"),
        "versions": versions(),
    }
    store.save(directory, smaller)
    return {
        "parameters": parameters,
        "macs": macs,
        "parameter_drop": 100 * (base_parameters - parameters) / base_parameters,
        "mac_drop": 100 * (base_macs - macs) / base_macs,
        "removed_filters": removed,
        "max_logit_difference": difference,
        "sha256": mask_sha256(mask),
    }


def logit_difference(masked: Model, keeps: dict[str, np.ndarray], smaller: Model, images: np.ndarray) -> float:
    """Largest absolute difference of logits, masked against pruned, on ``uint8[n, ...]`` images.

    Raises:
        RunError: it is more than rounding explains.
    """
    inputs = masked.normalisation(jax.numpy.asarray(images))
    expected = np.asarray(jax.jit(lambda network, x: network(x, keeps))(masked.network, inputs))
    pruned = np.asarray(jax.jit(lambda network, x: network(x))(smaller.network, inputs))
    difference = float(np.max(np.abs(expected - pruned)))
    scale = max(1.0, float(np.max(np.abs(expected))))
    if not difference <= TOLERANCE * scale:
        raise RunError(
            f"the pruned network's logits differ from the masked network's by {difference:.3g} (largest logit "
            f"{scale:.3g}); nothing was written; please report this as a defect."
        )
    return difference
