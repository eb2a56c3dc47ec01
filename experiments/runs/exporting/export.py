"""From a mask of a run to a physically smaller network in a format of choice: the ``export`` command."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import OptionError
from engine.layout import mask_sha256
from experiments.data.facts import DataFacts, result_json
from experiments.data.loading import note_resize
from experiments.environment import versions
from experiments.progress import Reporter, Silent
from experiments.runs.exporting.pick import chosen_mask, parse_pick
from experiments.runs.exporting.refit import refitted_choice
from experiments.runs.finish.images import REFIT_IMAGES
from experiments.runs.finish.result import Check, Result
from experiments.runs.finish.weights import result_of, weights_of
from experiments.runs.knowledge.compensation import network_of
from experiments.runs.saved import SavedRun
from models import output_directory
from models.contract import Network
from models.cost import network_cost
from models.export.contract import Predict
from models.export.parity import write_checked
from models.export.registry import named
from models.logits import logits
from models.model_directory import Model
from models.pruning import prune
from models.widening import BLOCK, rounded

PARITY_IMAGES = 256


@dataclass(frozen=True)
class ExportResult:
    """What was exported, and how closely the exported network agrees with the masked one.

    Attributes:
        format: a name in :data:`models.export.registry.FORMATS`.
        mask: which mask left: ``RESULT``, ``BEST`` or ``pick``.
        pick: the conditions that chose the mask; None for RESULT and BEST.
        accuracy_drop: percent, on the fitness images.
        correct: fitness images that the network gets right.
        refit_images: training images that the weights were fitted to; None for weights that the search scored.
        filler_filters: that were added for widths that are multiples of ``round_to``.
        check: counts on the check images, by which a finish or a refit judges; None where nothing was judged.
        runtime: the software that read the exported network back.
        files: bytes of each file.
        parameters: of the smaller network.
        macs: of the smaller network, for one image.
        parameter_drop: percent of the unpruned network.
        mac_drop: percent of the unpruned network.
        removed_filters: number of filters that the mask removes.
        parity_images: images on which the two networks were compared.
        differing_predictions: of these images, those that the two networks answer differently.
        max_logit_difference: the largest on these images.
        sha256: name of the mask.
        facts: on the fitness images.
    """

    format: str
    mask: str
    pick: str | None
    accuracy_drop: float
    correct: int
    refit_images: int | None
    filler_filters: int
    check: dict[str, Any] | None
    runtime: str
    files: dict[str, int]
    parameters: int
    macs: int
    parameter_drop: float
    mac_drop: float
    removed_filters: int
    parity_images: int
    differing_predictions: int
    max_logit_difference: float
    sha256: str
    facts: DataFacts

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return result_json(self)


@dataclass(frozen=True)
class _Leaving:
    """What leaves a run.

    ``name``: of the mask, as in :class:`ExportResult`; ``mask``: ``bool[f]``; ``smaller``: its network;
    ``logits`` of ``uint8[b, height, width, channels]``, as the run knows them; count and accuracy drop on the
    fitness images.
    """

    name: str
    mask: np.ndarray
    smaller: Network
    logits: Predict
    correct: int
    accuracy_drop: float
    refit_images: int | None = None
    check: Check | None = None

    @classmethod
    def of(cls, saved: SavedRun, pick: str | None, refit_images: int | None) -> "_Leaving":
        """The mask that was asked for; ``refit_images`` None keeps the weights that the run has."""
        name = "BEST" if pick is None else "pick"
        if refit_images is not None:
            (mask, judged), judge = refitted_choice(saved, pick, refit_images)
            counted = judged.fitness, judge.fitness_drop(judged)
            found = cls.masked(saved, name, mask, judge.network(mask, judged.refitted), counted)
            return replace(found, refit_images=judge.refit_images(judged), check=judge.check_of(judged))
        result = result_of(saved) if pick is None else None
        if result is not None and not result.is_best:
            return cls.finished(saved, result)
        chosen, problem = chosen_mask(saved, pick), saved.problem
        network = network_of(problem.model.network, problem.genome.layout.split(chosen.mask), saved.compensation)
        return cls.masked(saved, name, chosen.mask, network, (chosen.correct, chosen.accuracy_drop))

    @classmethod
    def finished(cls, saved: SavedRun, result: Result) -> "_Leaving":
        """RESULT, with the weights that its finish kept."""
        mask, model = weights_of(saved.run, saved.problem, result)
        return cls(
            "RESULT",
            mask,
            model.network,
            lambda x: np.asarray(logits(model.network, model.normalisation, x)),
            result.correct,
            result.accuracy_drop,
            result.refit_images,
            result.check,
        )

    @classmethod
    def masked(
        cls,
        saved: SavedRun,
        name: str,
        mask: np.ndarray,
        network: Network,
        counted: tuple[int, float],
    ) -> "_Leaving":
        """A mask with a network as large as the unpruned one; ``counted``: correct images and accuracy drop."""
        keeps, normalisation = saved.problem.genome.layout.split(mask), saved.problem.model.normalisation
        return cls(
            name,
            mask,
            prune(network, keeps),
            lambda x: np.asarray(logits(network, normalisation, x, keeps)),
            *counted,
        )


def export_run(
    location: str | os.PathLike[str],
    directory: Path,
    *,
    format: str = "native",
    pick: str | None = None,
    refit: bool = False,
    refit_images: int = REFIT_IMAGES,
    round_to: int | None = None,
    model: str | None = None,
    data_dir: str | None = None,
    reporter: Reporter | None = None,
) -> ExportResult:
    """Write RESULT, BEST or another mask of a run as a smaller network, if it reads back as the run knows it.

    RESULT leaves where the run has one, else BEST. The exported network is read back and compared on real images
    with the masked network, or with the network of RESULT, before it counts as written.

    Args:
        location: of the run, a path or a URL.
        directory: of the smaller network; must not exist, or be empty.
        format: a name in :data:`models.export.registry.FORMATS`.
        pick: conditions on a mask of the front (:mod:`experiments.runs.exporting.pick`); RESULT or BEST if None.
        refit: whether the remaining weights of BEST, or of the mask picked, are refitted now; conditions on
            accuracy are then about refitted masks (:mod:`experiments.runs.exporting.refit`).
        refit_images: number of training images to refit to, at most.
        round_to: each layer gets filler filters until its width is a multiple of this, or that of the unpruned
            network; None: of 8 for ONNX, and no filters for other formats.
        model: where the run's model is now, if it moved.
        data_dir: where the run's data is now, if it moved.
        reporter: receives sentences for the user.

    Raises:
        RunError: the run has no checkpoint yet, or searched on other images than are there now.
        OptionError: ``pick`` cannot be parsed, or no mask meets it; no images to refit to; ``round_to`` below 1.
        CompensationError: the network cannot be refitted.
        ExportError: the format is unknown, lacks a package or cannot hold the network; or the networks differ.
        StoreError: the directory is occupied.
    """
    if pick is not None:
        parse_pick(pick)
    if round_to is None:
        round_to = BLOCK if format == "onnx" else 1
    if round_to < 1:
        raise OptionError(f"`round_to` must be 1 or more, not {round_to}.")
    form = named(format)
    runtime = form.runtime()
    directory = Path(directory)
    output_directory.check_target(directory)
    saved = SavedRun.open(location, model=model, data_dir=data_dir, reporter=reporter or Silent())
    checkpoint, images, original = saved.newest, saved.images, saved.problem.model
    leaving = _Leaving.of(saved, pick, refit_images if refit else None)
    network = _of_widths(leaving.smaller, original.network, round_to, saved.reporter)
    zeros = _filters(network) - _filters(leaving.smaller)
    smaller = Model(network, original.normalisation, original.classes)
    parameters, macs = network_cost(smaller.network)
    base_parameters, base_macs = network_cost(original.network)
    removed = int((~leaving.mask).sum())
    if removed == 0:
        which = leaving.name if pick is None else f"the mask that `pick` {pick!r} finds"
        saved.reporter.message(f"{which} removes nothing: the exported network equals the original.")
    smaller.notes = {
        "pruned_from": {
            "model_digest": original.digest(),
            "mask_sha256": mask_sha256(leaving.mask),
            "generation": checkpoint.state.generation,
            "parameters": base_parameters,
            "macs": base_macs,
            "compensation": saved.options.compensate,
            "refit_images": leaving.refit_images,
            "round_to": round_to,
            **({} if pick is None else {"pick": pick}),
        },
        "data": original.notes.get("data"),
        "versions": versions(),
    }
    note_resize(smaller, saved.options.data)
    parity, sizes = write_checked(directory, smaller, form, images.images[:PARITY_IMAGES], leaving.logits)
    return ExportResult(
        format=format,
        mask=leaving.name,
        pick=pick,
        accuracy_drop=leaving.accuracy_drop,
        correct=leaving.correct,
        refit_images=leaving.refit_images,
        filler_filters=zeros,
        check=None if leaving.check is None else leaving.check.to_json(),
        runtime=runtime,
        files=sizes,
        parameters=parameters,
        macs=macs,
        parameter_drop=100 * (base_parameters - parameters) / base_parameters,
        mac_drop=100 * (base_macs - macs) / base_macs,
        removed_filters=removed,
        parity_images=parity.images,
        differing_predictions=parity.differing,
        max_logit_difference=parity.largest_difference,
        sha256=mask_sha256(leaving.mask),
        facts=saved.facts,
    )


def _of_widths(smaller: Network, original: Network, multiple: int, reporter: Reporter) -> Network:
    """The network with widths that are multiples of a number, or those of the unpruned network."""
    wider = rounded(smaller, original, multiple)
    if added := _filters(wider) - _filters(smaller):
        reporter.message(f"filler filters that make widths multiples of {multiple} (`round_to`): {added:,}.")
    return wider


def _filters(network: Network) -> int:
    return sum(group.size for group in network.filter_groups)
