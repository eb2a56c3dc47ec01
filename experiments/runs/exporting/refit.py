"""Refitting for an export: BEST, or the mask that ``pick`` asks for, chosen as the finish chooses RESULT.

A refit passes some thousand images through the network, so a search scores its masks without one. With an upper
bound on the accuracy drop, masks are therefore judged after their refit, on fitness images and on check images.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from engine.errors import DataError, OptionError
from experiments.runs.exporting.pick import Condition, chosen_mask, is_upper_bound, parse_pick
from experiments.runs.finish.choosing import Candidates, candidates
from experiments.runs.finish.images import finish_images
from experiments.runs.finish.judging import Judge
from experiments.runs.finish.reach import first_reach
from experiments.runs.finish.result import FINISH
from experiments.runs.finish.trials import Held, Trials
from experiments.runs.saved import SavedRun
from fitness.objective.cost import CostObjective
from fitness.objective.front import ACCURACY_DROP
from models.compensation.aims import check_readers
from models.errors import CompensationError


class Refitted(NamedTuple):
    """A mask, its judgement, and the judge, who has the weights."""

    held: Held
    judge: Judge


def refitted_choice(saved: SavedRun, wanted: str | None, refit_images: int) -> Refitted:
    """BEST, or the mask that ``wanted``, the conditions of ``pick``, asks for; refitted and judged.

    Raises:
        OptionError: no images; or no mask meets the conditions.
        CompensationError: the network names no weights that read its filters, or the mask cannot be judged.
        DataError: there are no training images, they cannot be read, or the unpruned network gets none right.
    """
    judge = _judge(saved, refit_images)
    conditions = () if wanted is None else parse_pick(wanted)
    bounds = [condition for condition in conditions if is_upper_bound(condition)]
    if bounds:
        held = _tried(saved, judge, wanted, bounds, conditions)
    else:
        chosen, generation = chosen_mask(saved, wanted), saved.newest.state.generation
        held = Held(chosen.mask, judge(chosen.mask, generation, FINISH, chosen.accuracy_drop))
    if held.judged.failed:
        raise CompensationError(f"the mask cannot be judged: {held.judged.failed}")
    if not held.judged.refitted:
        saved.reporter.message(
            "a refit loses more accuracy than the weights of the search, so these are written."
        )
    return Refitted(held, judge)


def _judge(saved: SavedRun, refit_images: int) -> Judge:
    if refit_images < 1:
        raise OptionError(f"`refit_images` must be 1 or more, not {refit_images}.")
    check_readers(saved.problem.model.network)
    data, images = saved.options.data, finish_images(saved.problem, refit_images)
    if images is None or len(images.fitted or ()) == 0:
        raise DataError(
            f"`refit` needs training images to refit to and to judge by, and `data` {data.data} has fewer than "
            "two; leave `refit` out."
        )
    judge = Judge(saved.problem, saved.compensation, images)
    if not judge.tells(saved.newest.state.generation):
        raise DataError(
            f"the model gets none of the fitness images of `data` {data.data} right, or none of the "
            f"{len(images.check):,} training images to judge by, so that nothing can be lost on them; leave "
            "`refit` out, or give the run's own images with `data_dir`."
        )
    return judge


def _tried(
    saved: SavedRun, judge: Judge, wanted: str | None, bounds: list[Condition], conditions: tuple[Condition, ...]
) -> Held:
    """The mask that drops most of the run's goal and meets all conditions.

    Raises:
        OptionError: of the masks that were judged, none does.
    """
    state, genome, goal = saved.newest.state, saved.problem.genome, saved.options.goal
    objective = CostObjective(genome)
    about_costs = [condition for condition in conditions if condition.name != ACCURACY_DROP]

    def figures(masks: np.ndarray) -> Mapping[str, np.ndarray]:
        return objective.appraise(masks, np.zeros(len(masks), np.int64), state.original_correct).figures

    def allowed(masks: np.ndarray) -> np.ndarray:
        found = figures(masks)
        return np.logical_and.reduce([np.ones(len(masks), bool), *(each.holds(found) for each in about_costs)])

    found = candidates(state, genome.layout, objective, goal)
    fit = allowed(found.masks)
    # A drop of no more than x is a drop of less than the next number.
    limits = [each.number if each.comparison == "<" else np.nextafter(each.number, np.inf) for each in bounds]
    threshold = float(min(limits))
    trials = Trials(judge, state.generation, threshold, saved.reporter)
    trials.run(
        Candidates(found.masks[fit], found.accuracy_drops[fit]),
        first_reach(threshold),
        genome.layout.full(),
        lambda masks: figures(masks)[goal],
        # Masks between two others would break the rule for widths.
        allowed if saved.options.settings.round_to == 1 else None,
    )
    about_accuracy = [condition for condition in conditions if condition.name == ACCURACY_DROP]
    # Other candidates lose still less accuracy: if this one misses a lower bound, they miss it too.
    if trials.held is None or not _meets(judge.drop(trials.held.judged), about_accuracy):
        raise OptionError(
            f"`pick` {wanted!r} fits none of the {trials.judged:,} masks of the run that were refitted; ask for "
            "less, or search on with 'evoprune resume'."
        )
    return trials.held


def _meets(drop: float, conditions: list[Condition]) -> bool:
    return all(bool(condition.holds({ACCURACY_DROP: np.array(drop)})) for condition in conditions)
