"""Several objectives at once: accuracy traded for parameters, MACs or both."""

from dataclasses import dataclass

import numpy as np

from engine.contracts import FAILED, Aims, Appraisal, Objective
from engine.errors import OptionError
from fitness.objective.rewards import OBJECTIVES

ACCURACY = "accuracy"
FIGURES = {
    ACCURACY: "accuracy_drop",
    **{name: each.figure for name, each in OBJECTIVES.items() if each.on_fronts == name},
}
"""Objective -> the figure of an appraisal, in percent, that measures it."""

ACCURACY_DROP = FIGURES[ACCURACY]


def named_objectives(text: str) -> tuple[str, ...]:
    """The objectives that ``text`` names, separated by commas: accuracy first, the others in the given order.

    Raises:
        OptionError: a name is unknown or given twice, accuracy is missing, or no other objective is named.
    """
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in FIGURES]:
        raise OptionError(f"`objectives` {unknown[0]!r} is not known; name two or more of {', '.join(FIGURES)}.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OptionError(f"`objectives` names {twice} twice; name each once.")
    if ACCURACY not in names or len(names) < 2:
        raise OptionError(
            f"`objectives` {text} must name {ACCURACY} and what is traded for it; give {','.join(FIGURES)}, or "
            "leave the option out to search for one best mask."
        )
    return (ACCURACY, *(name for name in names if name != ACCURACY))


def default_limit(threshold: float) -> float:
    """The default of ``front_limit``: five times the threshold, from 10 to 100 percent."""
    return min(100.0, max(10.0, 5 * threshold))


def check_limit(limit: float) -> None:
    """Check a limit of the accuracy drop.

    Raises:
        OptionError: the limit is out of its range.
    """
    if not 0 < limit <= 100:
        raise OptionError(f"`front_limit` is an accuracy drop above 0, up to 100 percent, not {limit}.")


def check_front(objectives: str | None, limit: float | None, threshold: float, race: float) -> None:
    """Check the options of a search for a front, alone and together.

    Raises:
        OptionError: an option cannot be used, alone or with the others.
    """
    if objectives is None:
        if limit is not None:
            raise OptionError(f"`front_limit` {limit} bounds the front of `objectives`; give both, or neither.")
        return
    named_objectives(objectives)
    if limit is not None:
        check_limit(limit)
        if limit < threshold:
            raise OptionError(
                f"`front_limit` {limit} is below `threshold` {threshold}, so that BEST could be off the front; "
                "raise it, or lower the threshold."
            )
    if race > 0:
        raise OptionError(
            f"`race` {race} stops masks that cannot become BEST, which `objectives` may want; leave out either."
        )


@dataclass(frozen=True)
class FrontObjective:
    """An objective for BEST, and the aims of a search for a front.

    A network near chance level is useless however small it is, and there are many such networks. ``limit`` keeps
    them from filling the front.

    Attributes:
        single: chooses BEST; its figures include those of :data:`FIGURES`.
        names: the objectives, from :func:`named_objectives`.
        limit: highest accuracy drop, in percent, at which a mask is of interest.

    Raises:
        OptionError: the limit is out of its range.
    """

    single: Objective
    names: tuple[str, ...]
    limit: float

    def __post_init__(self) -> None:
        check_limit(self.limit)

    @property
    def monotone(self) -> bool:
        """See :class:`engine.contracts.Objective`."""
        return self.single.monotone

    def appraise(self, masks: np.ndarray, correct: np.ndarray, original_correct: int) -> Appraisal:
        """See :class:`engine.contracts.Objective`.

        Each aim grows from 0 to 1: for accuracy from the limit to the original's accuracy, for a cost from the
        original's cost to none.
        """
        found = self.single.appraise(masks, correct, original_correct)
        failed = correct == FAILED
        drop = np.where(failed, np.inf, found.figures[FIGURES[ACCURACY]])
        columns = [1 - drop / self.limit, *(found.figures[FIGURES[name]] / 100 for name in self.names[1:])]
        aims = Aims(np.stack(columns, axis=1), np.maximum(drop - self.limit, 0))
        return Appraisal(found.score, found.feasible, found.figures, aims)
