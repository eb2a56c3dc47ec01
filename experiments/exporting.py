"""From a mask of a run to a physically smaller network in a format of choice: the ``export`` command."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from engine.errors import RunError
from engine.layout import mask_sha256
from engine.run_directory import RunDirectory
from experiments import compensating
from experiments.environment import versions
from experiments.fitness_images import load_fitness_images
from experiments.picking import Chosen, chosen_mask, parse_pick
from experiments.progress import Reporter, Silent
from experiments.refitting import IMAGES as REFIT_IMAGES
from experiments.refitting import Refit, Refitter, refitted_choice
from experiments.search_options import SearchOptions
from experiments.searched_model import load_searched_model
from fitness.genome import Genome
from models import output_directory
from models.compensation.compensation import Compensation
from models.cost import network_cost
from models.export.parity import write_checked
from models.export.registry import named
from models.pruning import prune
from models.stages import Network
from models.store import Model

PARITY_IMAGES = 256


class Leaving(NamedTuple):
    """A mask ``bool[f]``, the network, as large as before, with the weights that go with it, and its worth.

    ``correct`` and ``accuracy_drop`` (percent) are those on the fitness images; ``refit`` has the figures of
    :class:`experiments.refitting.Refit`, None without a refit.
    """

    mask: np.ndarray
    network: Network
    correct: int
    accuracy_drop: float
    refit: dict[str, Any] | None

    @classmethod
    def chosen(cls, found: Chosen, model: Model, genome: Genome, compensation: Compensation | None) -> "Leaving":
        """With the weights that the search scored it with."""
        network = compensating.network_of(model.network, genome.layout.split(found.mask), compensation)
        return cls(found.mask, network, found.correct, found.accuracy_drop, None)

    @classmethod
    def refitted(cls, found: Refit) -> "Leaving":
        """With weights of its own."""
        fitness = found.figures["fitness"]
        return cls(found.mask, found.network, fitness["correct"], fitness["accuracy_drop"], found.figures)


def export_run(
    run_directory: str | os.PathLike[str],
    directory: Path,
    *,
    format: str = "native",
    pick: str | None = None,
    refit: bool = False,
    refit_images: int = REFIT_IMAGES,
    model: str | None = None,
    data_dir: str | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Prune the run's model with a mask and write it, if read back it agrees with the masked one on real images.

    Args:
        run_directory: of the search, a path or a URL.
        directory: of the pruned model; must not exist, or be empty.
        format: a name in :data:`models.export.registry.FORMATS`.
        pick: conditions on a mask of the front (:mod:`experiments.picking`); BEST if None.
        refit: whether the weights that are left are refitted, and conditions on accuracy are about that
            (:mod:`experiments.refitting`).
        refit_images: of the training split, to refit to, at most.
        model: where the run's model is now, if it moved.
        data_dir: where the run's data is now, if it moved.
        reporter: receives sentences for the user.

    Raises:
        RunError: the run has no checkpoint yet, or searched on other images than are there now.
        OptionError: ``pick`` cannot be read, or no mask meets it; no images to refit to.
        CompensationError: the network cannot be refitted.
        ExportError: the format is not known, lacks a package or cannot hold the network; or the networks differ.
        StoreError: the directory is occupied.
    """
    if pick is not None:
        parse_pick(pick)
    form = named(format)
    runtime = form.runtime()
    directory = Path(directory)
    reporter = reporter or Silent()
    output_directory.check_target(directory)
    run = RunDirectory.open(run_directory)
    options = SearchOptions.from_json(run.description().get("configuration"))
    checkpoint = run.latest(reporter.message)
    if checkpoint is None:
        raise RunError(f"{run.location} has no checkpoint yet; run 'evoprune resume {run.location}' first.")
    original = load_searched_model(run, checkpoint, model or options.model, options.prune)
    if data_dir is not None:
        options = replace(options, data=options.data.moved(data_dir))
    images = load_fitness_images(run, options.data, original)
    genome = Genome.of(original.network, options.prune)
    compensation = compensating.read(run, options.compensate, genome)
    if refit:
        refitter = Refitter(original, genome, options, compensation, refit_images, reporter)
        leaving = Leaving.refitted(refitted_choice(refitter, checkpoint, genome, options, pick))
    else:
        leaving = Leaving.chosen(chosen_mask(checkpoint, genome, options, pick), original, genome, compensation)
    mask, keeps = leaving.mask, genome.layout.split(leaving.mask)
    smaller = Model(prune(leaving.network, keeps), original.normalisation, original.classes)
    parameters, macs = network_cost(smaller.network)
    base_parameters, base_macs = network_cost(original.network)
    removed = int((~mask).sum())
    if removed == 0:
        which = "BEST" if pick is None else f"what --pick {pick!r} finds"
        reporter.message(f"{which} removes nothing: the exported network equals the original.")
    smaller.notes = {
        "pruned_from": {
            "model_digest": original.digest(),
            "mask_sha256": mask_sha256(mask),
            "generation": checkpoint.state.generation,
            "parameters": base_parameters,
            "macs": base_macs,
            "compensation": options.compensate,
            "refit_images": None if leaving.refit is None else leaving.refit["images"],
            **({} if pick is None else {"pick": pick}),
        },
        "data": original.notes.get("data"),
        "versions": versions(),
    }
    masked = jax.jit(lambda network, x: network(original.normalisation(x), keeps))
    parity, sizes = write_checked(
        directory,
        smaller,
        form,
        images.images[:PARITY_IMAGES],
        lambda x: np.asarray(masked(leaving.network, x)),
    )
    return {
        "format": format,
        "pick": pick,
        "accuracy_drop": leaving.accuracy_drop,
        "correct": leaving.correct,
        "refit": leaving.refit,
        "runtime": runtime,
        "files": sizes,
        "parameters": parameters,
        "macs": macs,
        "parameter_drop": 100 * (base_parameters - parameters) / base_parameters,
        "mac_drop": 100 * (base_macs - macs) / base_macs,
        "removed_filters": removed,
        "parity_images": parity.images,
        "differing_predictions": parity.differing,
        "max_logit_difference": parity.largest_difference,
        "sha256": mask_sha256(mask),
    }
