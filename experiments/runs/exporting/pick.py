"""Choosing a mask of a run: BEST, or the mask of its front that the conditions of ``pick`` ask for."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from engine.contracts import Objective
from engine.errors import OptionError
from engine.search.front import Front, front_of
from engine.search.state import SearchState
from experiments.runs.saved import SavedRun
from fitness.genome import Genome
from fitness.objective.cost import CostObjective
from fitness.objective.front import ACCURACY_DROP, FIGURES, FrontObjective

NAMES = (*FIGURES.values(), "parameters", "macs")
"""Figures that a condition can be about. Drops are in percent of the unpruned network."""

_OPERATORS: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_CONDITION = re.compile(rf"\s*([a-z_]+)\s*(<=|>=|<|>)\s*({_NUMBER})\s*")


class Condition(NamedTuple):
    """``name`` is one of :data:`NAMES`; ``comparison`` one of < <= > >=."""

    name: str
    comparison: str
    number: float

    def holds(self, figures: Mapping[str, np.ndarray]) -> np.ndarray:
        """``bool[k]``: the masks for which the condition holds."""
        return _OPERATORS[self.comparison](figures[self.name], self.number)


class Chosen(NamedTuple):
    """A mask, ``bool[f]``, its count and its accuracy drop in percent, both on the fitness images."""

    mask: np.ndarray
    correct: int
    accuracy_drop: float


def parse_pick(text: str) -> tuple[Condition, ...]:
    """Parse conditions such as ``accuracy_drop<1`` or ``accuracy_drop<=1,macs<1e8``.

    Raises:
        OptionError: the text is no list of conditions.
    """
    conditions = []
    for part in text.split(","):
        match = _CONDITION.fullmatch(part)
        if match is None or match[1] not in NAMES or not np.isfinite(float(match[3])):
            raise OptionError(
                f"`pick` {text!r}: {part.strip()!r} is no condition; write {ACCURACY_DROP}<1, with <, <=, > or "
                f">= and one of {', '.join(NAMES)}, several joined by commas."
            )
        conditions.append(Condition(match[1], match[2], float(match[3])))
    return tuple(conditions)


def is_upper_bound(condition: Condition) -> bool:
    """Whether the condition limits the loss of accuracy."""
    return condition.name == ACCURACY_DROP and condition.comparison in ("<", "<=")


def pick(figures: Mapping[str, np.ndarray], conditions: tuple[Condition, ...], goal: str) -> int | None:
    """The place of the best mask for which all conditions hold; None if there is none.

    With an upper bound on the accuracy drop, the best mask drops most of ``goal``, a figure. Without such a
    bound, the best mask drops least accuracy. The other of the two figures decides among equals, then the
    remaining figures, then the place.
    """
    held = np.flatnonzero(np.logical_and.reduce([condition.holds(figures) for condition in conditions]))
    if len(held) == 0:
        return None
    bounded = any(map(is_upper_bound, conditions))
    least, most = figures[ACCURACY_DROP][held], -figures[goal][held]
    others = [-figures[name][held] for name in FIGURES.values() if name not in (ACCURACY_DROP, goal)]
    keys = [most, least, *others] if bounded else [least, most, *others]
    return int(held[np.lexsort(keys[::-1])[0]])


def front_among_all(
    state: SearchState, genome: Genome, names: tuple[str, ...] = tuple(FIGURES), limit: float = 100.0
) -> Front:
    """The front of all masks that a search evaluated, whatever its objective was.

    Args:
        state: of the search.
        genome: that the search pruned.
        names: objectives, accuracy first.
        limit: accuracy drop in percent up to which masks count; hypervolumes are measured from this limit.
    """
    objective: Objective = FrontObjective(CostObjective(genome), names, limit)
    return front_of(state.archive, genome.layout, objective, state.original_correct)


def chosen_mask(saved: SavedRun, wanted: str | None) -> Chosen:
    """BEST; or the mask that ``wanted``, the conditions of ``pick``, asks for.

    The mask is picked from the front in accuracy, parameters and MACs of all evaluated masks, so that conditions
    on any of these figures can be met. The threshold of the search does not matter.

    Raises:
        OptionError: the conditions cannot be parsed, or no mask of the front meets them.
    """
    state = saved.newest.state
    if wanted is None:
        best = state.best
        return Chosen(best.individual.mask, best.individual.correct, float(best.figures[ACCURACY_DROP]))
    conditions = parse_pick(wanted)
    front = front_among_all(state, saved.problem.genome)
    place = pick(front.figures, conditions, saved.options.goal)
    if place is None:
        there = ", ".join(f"{name} {_range(front.figures[name])}" for name in _asked(conditions))
        raise OptionError(
            f"`pick` {wanted!r} fits none of the {len(front):,} masks on the front, which has {there}; ask for "
            "less, or search on with 'evoprune resume'."
        )
    masks = front.masks(state.archive)
    figures = front.figures
    return Chosen(masks[place], int(figures["correct"][place]), float(figures[ACCURACY_DROP][place]))


def _asked(conditions: tuple[Condition, ...]) -> list[str]:
    return list(dict.fromkeys(condition.name for condition in conditions))


def _range(values: np.ndarray) -> str:
    return f"{values.min():,g} to {values.max():,g}"
