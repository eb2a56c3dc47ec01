"""Which mask of a run is meant: BEST, or the one of its front that ``--pick`` asks for."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from engine.checkpoint import Checkpoint
from engine.contracts import Objective
from engine.errors import OptionError
from engine.front import Front, front_of
from engine.state import SearchState
from experiments.search_options import SearchOptions
from fitness.front_objective import ACCURACY, FIGURES, FrontObjective
from fitness.genome import Genome
from fitness.objective import CostObjective

ACCURACY_DROP = FIGURES[ACCURACY]
NAMES = (*FIGURES.values(), "parameters", "macs")
"""What a condition can be about. Drops are in percent of the original network."""

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
        """``bool[k]``: for which masks."""
        return _OPERATORS[self.comparison](figures[self.name], self.number)


class Chosen(NamedTuple):
    """A mask, ``bool[f]``, its count and its accuracy drop in percent, both on the fitness images."""

    mask: np.ndarray
    correct: int
    accuracy_drop: float


def parse_pick(text: str) -> tuple[Condition, ...]:
    """The conditions of ``accuracy_drop<1`` or ``accuracy_drop<=1,macs<1e8``.

    Raises:
        OptionError: it is anything else.
    """
    conditions = []
    for part in text.split(","):
        match = _CONDITION.fullmatch(part)
        if match is None or match[1] not in NAMES or not np.isfinite(float(match[3])):
            raise OptionError(
                f"--pick {text!r}: {part.strip()!r} is no condition; write {ACCURACY_DROP}<1, with <, <=, > or "
                f">= and one of {', '.join(NAMES)}, several joined by commas."
            )
        conditions.append(Condition(match[1], match[2], float(match[3])))
    return tuple(conditions)


def is_upper_bound(condition: Condition) -> bool:
    """Whether it says how much accuracy may be lost."""
    return condition.name == ACCURACY_DROP and condition.comparison in ("<", "<=")


def pick(figures: Mapping[str, np.ndarray], conditions: tuple[Condition, ...], goal: str) -> int | None:
    """The place of the mask that is wanted among those for which all conditions hold; None if there is none.

    Where the accuracy drop has an upper bound, whoever drops most of ``goal``, a figure: that is what the bound
    is for. Otherwise whoever drops least accuracy. The other of the two decides among equals, then the figures
    that are left, then the place.
    """
    held = np.flatnonzero(np.logical_and.reduce([condition.holds(figures) for condition in conditions]))
    if len(held) == 0:
        return None
    bounded = any(map(is_upper_bound, conditions))
    least, most = figures[ACCURACY_DROP][held], -figures[goal][held]
    others = [-figures[name][held] for name in FIGURES.values() if name not in (ACCURACY_DROP, goal)]
    keys = [most, least, *others] if bounded else [least, most, *others]
    return int(held[np.lexsort(keys[::-1])[0]])


def goal_of(options: SearchOptions) -> str:
    """The figure that a run is to drop most of: its ``--objective``, if that is one of its ``--objectives``.

    Otherwise the first of these beside accuracy; or MACs, for a latency that no front is in.
    """
    known = options.aims[1:] or tuple(name for name in FIGURES if name != ACCURACY)
    wanted = (options.objective, *options.aims[1:], "macs")
    return FIGURES[next(name for name in wanted if name in known)]


def front_among_all(
    state: SearchState, genome: Genome, names: tuple[str, ...] = tuple(FIGURES), limit: float = 100.0
) -> Front:
    """The front of everything that a search evaluated, whatever it searched for.

    Args:
        state: of the search.
        genome: that it searched.
        names: objectives, accuracy first.
        limit: accuracy drop in percent up to which masks count; hypervolumes are measured from it.
    """
    objective: Objective = FrontObjective(CostObjective(genome), names, limit)
    return front_of(state.archive, genome.layout, objective, state.original_correct)


def chosen_mask(checkpoint: Checkpoint, genome: Genome, options: SearchOptions, wanted: str | None) -> Chosen:
    """BEST, or without a threshold the mask that ``wanted``, conditions of :func:`parse_pick`, asks for.

    It is picked from the front in accuracy, parameters and MACs of all masks, so that conditions on any of them
    find what there is.

    Raises:
        OptionError: conditions that cannot be read, or that no mask of the front meets.
    """
    state = checkpoint.state
    if wanted is None:
        best = state.best
        return Chosen(best.individual.mask, best.individual.correct, float(best.figures[ACCURACY_DROP]))
    conditions = parse_pick(wanted)
    front = front_among_all(state, genome)
    place = pick(front.figures, conditions, goal_of(options))
    if place is None:
        there = ", ".join(f"{name} {_range(front.figures[name])}" for name in _asked(conditions))
        raise OptionError(
            f"--pick {wanted!r} fits none of the {len(front):,} masks on the front, which has {there}; ask for "
            "less, or search on with 'evoprune resume'."
        )
    masks = front.masks(state.archive)
    figures = front.figures
    return Chosen(masks[place], int(figures["correct"][place]), float(figures[ACCURACY_DROP][place]))


def finalists(checkpoint: Checkpoint, genome: Genome, goal: str, conditions: tuple[Condition, ...]) -> np.ndarray:
    """``bool[k, f]``: the front of all masks in accuracy and ``goal``, a figure, who drops most of it first.

    ``conditions`` must hold; they are not about accuracy.
    """
    state = checkpoint.state
    names = (ACCURACY, next(name for name, figure in FIGURES.items() if figure == goal))
    front = front_among_all(state, genome, names)
    held = np.logical_and.reduce(
        [condition.holds(front.figures) for condition in conditions] or [np.ones(len(front), bool)]
    )
    order = np.argsort(-front.figures[goal], kind="stable")
    return front.masks(state.archive)[order[held[order]]]


def _asked(conditions: tuple[Condition, ...]) -> list[str]:
    return list(dict.fromkeys(condition.name for condition in conditions))


def _range(values: np.ndarray) -> str:
    return f"{values.min():,g} to {values.max():,g}"
