"""Several objectives at once: accuracy against parameters, MACs or both."""

from dataclasses import dataclass

import numpy as np

from engine.contracts import FAILED, Aims, Appraisal, Objective
from engine.errors import OptionError

ACCURACY = "accuracy"
FIGURES = {ACCURACY: "accuracy_drop", "parameters": "parameter_drop", "macs": "mac_drop"}
"""Objective -> the figure of an appraisal, in percent, that it is judged by."""


def named_objectives(text: str) -> tuple[str, ...]:
    """The keys of :data:`FIGURES` that ``text`` names, joined by commas: accuracy first, the others as given.

    Raises:
        OptionError: one is unknown or named twice, accuracy is missing, or there is no other.
    """
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in FIGURES]:
        raise OptionError(f"--objectives {unknown[0]!r} is not known; name two or more of {', '.join(FIGURES)}.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OptionError(f"--objectives names {twice} twice; name each once.")
    if ACCURACY not in names or len(names) < 2:
        raise OptionError(
            f"--objectives {text} must name {ACCURACY} and what is traded for it; give {','.join(FIGURES)}, or "
            "leave the option out to search for one best mask."
        )
    return (ACCURACY, *(name for name in names if name != ACCURACY))


def default_limit(threshold: float) -> float:
    """The accuracy drop up to which a front is of interest if nobody says: with room beyond the threshold."""
    return min(100.0, max(10.0, 5 * threshold))


def check_limit(limit: float) -> None:
    """Refuse a limit that is no accuracy drop.

    Raises:
        OptionError: it is out of its range.
    """
    if not 0 < limit <= 100:
        raise OptionError(f"--front-limit is an accuracy drop above 0, up to 100 percent, not {limit}.")


def check_front(objectives: str | None, limit: float | None, threshold: float, race: float) -> None:
    """Refuse options of a search for a front that cannot be used, alone or together.

    Raises:
        OptionError: which, and why.
    """
    if objectives is None:
        if limit is not None:
            raise OptionError(f"--front-limit {limit} bounds the front of --objectives; give both, or neither.")
        return
    named_objectives(objectives)
    if limit is not None:
        check_limit(limit)
        if limit < threshold:
            raise OptionError(
                f"--front-limit {limit} is below --threshold {threshold}, so that BEST could be off the front; "
                "raise it, or lower the threshold."
            )
    if race > 0:
        raise OptionError(
            f"--race {race} stops masks that cannot become BEST, which --objectives may want; leave out either."
        )


@dataclass(frozen=True)
class FrontObjective:
    """An objective for BEST, and the aims of a search for a front.

    A network near chance level is useless however small it is, and there are endlessly many; ``limit`` keeps them
    from filling the front.

    Attributes:
        single: judges who is BEST; its figures are :data:`FIGURES`, and others.
        names: of the objectives, from :func:`named_objectives`.
        limit: accuracy drop, in percent, up to which (inclusive) a mask is of interest.

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

        A value is 1 for all of the original's accuracy, or for none of its parameters or MACs; it is 0 at the
        limit, or at the original's size.
        """
        found = self.single.appraise(masks, correct, original_correct)
        failed = correct == FAILED
        drop = np.where(failed, np.inf, found.figures[FIGURES[ACCURACY]])
        columns = [1 - drop / self.limit, *(found.figures[FIGURES[name]] / 100 for name in self.names[1:])]
        aims = Aims(np.stack(columns, axis=1), np.maximum(drop - self.limit, 0))
        return Appraisal(found.score, found.feasible, found.figures, aims)
