"""The mask that leaves, refitted: least squares for BEST, or for the smallest finalist that is accurate enough.

A refit costs a pass of some thousand images and more, so that a search scores masks without it. It can pay to
search beyond the accuracy that is wanted in the end, and to choose behind the refit; by images too that neither
the search nor the refit saw, since what was fitted to images looks better on them than it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.checkpoint import Checkpoint
from engine.errors import DataError, OptionError
from experiments import compensating, datasets
from experiments.measuring import load_images, measure
from experiments.picking import (
    ACCURACY_DROP,
    Condition,
    chosen_mask,
    finalists,
    goal_of,
    is_upper_bound,
    parse_pick,
)
from experiments.progress import Reporter
from experiments.search_options import SearchOptions
from experiments.unseen_images import unseen_images
from fitness.genome import Genome
from models.compensation.compensation import Compensation
from models.compensation.refit import refitted
from models.pruning import prune
from models.stages import Network
from models.store import Model

IMAGES = 5_000
"""That layers are fitted to."""

HELD_OUT = 5_000
"""That finalists are judged by, at most."""


@dataclass(frozen=True)
class Refit:
    """A mask ``bool[f]``, the network with the weights that go with it, and what it is worth.

    ``figures``: ``images``, and accuracy drops in percent and counts on the fitness images and on unseen ones.
    """

    mask: np.ndarray
    network: Network
    figures: dict[str, Any]


class Refitter:
    """Refits masks of a run to training images, and measures what comes out."""

    def __init__(
        self,
        model: Model,
        genome: Genome,
        options: SearchOptions,
        compensation: Compensation | None,
        images: int,
        reporter: Reporter,
    ):
        """``options`` and ``compensation``: the search's; ``images``: to fit, at most.

        Raises:
            OptionError: no images.
            DataError: there is no training split, it cannot be read, or the model gets no fitness image right.
        """
        if images < 1:
            raise OptionError(f"--refit-images must be 1 or more, not {images}.")
        data = options.data
        if compensating.SPLIT not in datasets.available_splits(data.data, data_dir=data.data_dir):
            raise DataError(
                f"--refit needs training images and --data {data.data} has no {compensating.SPLIT} "
                "split; leave it out."
            )
        found = datasets.size(data.data, compensating.SPLIT, data_dir=data.data_dir)
        training = replace(data, split=compensating.SPLIT)
        fitted = replace(training, images=min(images, found))
        seen = [data, fitted]
        if compensation is not None:
            seen.append(replace(training, images=min(options.compensation_images, found)))
        self._model, self._genome, self._compensation, self._reporter = model, genome, compensation, reporter
        self._fitted = load_images(fitted, model)
        self._judges = {"fitness": load_images(data, model)}
        unseen = unseen_images(seen, HELD_OUT, model)
        if unseen is None:
            reporter.message(
                "the search saw all training images: what is refitted can be judged by the fitness images alone."
            )
        else:
            self._judges["held_out"] = unseen
        self._originals = {name: measure(model, judge) for name, judge in self._judges.items()}
        if self._originals["fitness"]["correct"] == 0:
            raise DataError(
                f"the model gets none of the fitness images of --data {data.data} right, so that nothing can be "
                "lost on them; give the run's own with --data-dir."
            )
        if unseen is not None and self._originals["held_out"]["correct"] == 0:
            reporter.message(
                f"of the {len(unseen):,} training images that the search did not see the model gets none right: "
                "what is refitted is judged by the fitness images alone."
            )
            del self._judges["held_out"]

    def __call__(self, mask: np.ndarray) -> Refit:
        """Refit ``bool[f]``."""
        keeps = self._genome.layout.split(mask)
        start = compensating.network_of(self._model.network, keeps, self._compensation)
        network = refitted(self._model.network, start, keeps, self._model.normalisation, self._fitted.images)
        smaller = Model(prune(network, keeps), self._model.normalisation, self._model.classes)
        figures: dict[str, Any] = {"images": len(self._fitted)}
        for name, judge in self._judges.items():
            figures[name] = _compared(self._originals[name], measure(smaller, judge))
        found = Refit(mask, network, figures)
        parameters = int(self._genome(mask[None]).parameters[0])
        self._reporter.message(f"refitted with {parameters:,} parameters: accuracy drop {_told(figures)}.")
        return found

    def drop(self, found: Refit) -> float:
        """By which finalists are judged, percent: the larger one, on the fitness images or on unseen ones."""
        return max(float(found.figures[name]["accuracy_drop"]) for name in self._judges)


def refitted_choice(
    refit: Refitter, checkpoint: Checkpoint, genome: Genome, options: SearchOptions, wanted: str | None
) -> Refit:
    """BEST refitted; or what ``wanted``, conditions of ``--pick``, finds, accuracy being that of refitted masks.

    With an upper bound on the accuracy drop, the finalists are all masks with a count that none surpasses in
    accuracy and in the run's goal; of these the one that drops most of the goal and meets the conditions, found
    by bisection, as if the drop of refitted finalists never rose while they drop less.

    Raises:
        OptionError: no mask meets the conditions.
    """
    conditions = () if wanted is None else parse_pick(wanted)
    if wanted is None or not any(is_upper_bound(condition) for condition in conditions):
        return refit(chosen_mask(checkpoint, genome, options, wanted).mask)
    about_accuracy = [condition for condition in conditions if condition.name == ACCURACY_DROP]
    above = [condition for condition in about_accuracy if is_upper_bound(condition)]
    others = tuple(condition for condition in conditions if condition.name != ACCURACY_DROP)
    masks = finalists(checkpoint, genome, goal_of(options), others)
    known: dict[int, Refit] = {}

    def meets(place: int) -> bool:
        known[place] = refit(masks[place])
        return _meets(refit.drop(known[place]), above)

    place = first_that(meets, len(masks))
    # Those behind lose less still: if it loses too little, so do they.
    if place is None or not _meets(refit.drop(known[place]), about_accuracy):
        raise OptionError(
            f"--pick {wanted!r} fits none of the {len(masks):,} finalists of the run, refitted; ask for less, or "
            "search on with 'evoprune resume'."
        )
    return known[place]


def first_that(holds: Callable[[int], bool], count: int) -> int | None:
    """The lowest of ``count`` places that holds, if all behind one that holds do too; None if the last does not.

    The answer was asked, and holds in any case.
    """
    low, high, found = 0, count, None
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high, found = middle, middle
        else:
            low = middle + 1
    return found


def _meets(drop: float, conditions: list[Condition]) -> bool:
    return all(bool(condition.holds({ACCURACY_DROP: np.array(drop)})) for condition in conditions)


def _compared(original: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    drop = 100 * (original["correct"] - found["correct"]) / original["correct"]
    return {"accuracy_drop": drop, "correct": found["correct"], "total": found["total"]}


def _told(figures: Mapping[str, Any]) -> str:
    told = f"{figures['fitness']['accuracy_drop']:.2f}% on the fitness images"
    if "held_out" in figures:
        told += f", {figures['held_out']['accuracy_drop']:.2f}% on {figures['held_out']['total']:,} unseen ones"
    return told
