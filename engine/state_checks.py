"""Whether a state that was read can be one of a search: a checksum that fits proves nothing about it.

All is cheap beside reading the archive itself.
"""

import math
from dataclasses import fields

import numpy as np

from engine.best import Best
from engine.contracts import FAILED
from engine.individual import Individual
from engine.layout import Layout
from engine.state import SearchState


def check_state(state: SearchState, layout: Layout, images: float = math.inf) -> None:
    """Refuse what no search can have reached.

    Args:
        state: whose arrays fit the layout.
        layout: of its masks.
        images: that every mask is evaluated on; inf where that is not known.

    Raises:
        ValueError, TypeError, OverflowError: why.
    """
    _check_counters(state)
    _check_masks(state, layout)
    _check_counts(state, layout, images)
    _check_best(state.best, state.origins)
    for island in state.islands:
        _check_population(island.population)
    if (
        state.front is not None
        and (state.archive.counts()[state.front.rows] != state.front.figures["correct"]).any()
    ):
        raise ValueError("its front has other counts than its archive")


def _check_counters(state: SearchState) -> None:
    for field in fields(state):
        value = getattr(state, field.name)
        if field.type is int and (not isinstance(value, int) or isinstance(value, bool)):
            raise TypeError(f"{field.name} is {value!r}")
    found = len(state.archive), state.archive.failures(), state.archive.stopped()
    if (state.evaluations, state.failures, state.stopped) != found:
        raise ValueError("its evaluations, failures and stopped masks are not those of its archive")


def _check_masks(state: SearchState, layout: Layout) -> None:
    masks = np.stack([individual.mask for individual in _individuals(state)])
    if (layout.kept(masks) == 0).any():
        raise ValueError("a mask removes every filter of a layer")


def _check_counts(state: SearchState, layout: Layout, images: float) -> None:
    """Whoever is in the population, BEST and the original were evaluated: the archive has their counts."""
    if (state.archive.counts() > images).any():
        raise ValueError(f"its archive has counts above the {images} images of the run")
    known = _individuals(state)
    masks = np.stack([layout.full(), *(individual.mask for individual in known)])
    counts = [state.original_correct, *(individual.correct for individual in known)]
    if not state.archive.known(masks).all() or state.archive.look_up(masks).tolist() != counts:
        raise ValueError("its population, BEST or the original has another count than in its archive")
    if state.original_correct < 1 or state.best.individual.correct < 0 or min(counts) < FAILED:
        raise ValueError("its population, BEST or the original has no count")


def _check_best(best: Best, origins: tuple[str, ...]) -> None:
    if not all(isinstance(value, int | float) for value in best.figures.values()):
        raise TypeError("a figure of BEST is no number")
    if not all(map(math.isfinite, (best.individual.score, *best.figures.values()))):
        raise ValueError("the score or a figure of BEST is not finite")
    if not origins:
        return
    ancestry = best.ancestry or {}
    if list(ancestry) != list(origins):
        raise ValueError("the ancestry of BEST does not fit its origins")
    if not all(type(count) is int for count in ancestry.values()):
        raise TypeError("the ancestry of BEST is no count of filters")
    if min(ancestry.values()) < 0 or sum(ancestry.values()) != (~best.individual.mask).sum():
        raise ValueError("the ancestry of BEST does not add up to the filters that it removes")


def _check_population(population: list[Individual]) -> None:
    """An island's."""
    scores = np.array([individual.score for individual in population])
    # Failed masks score minus infinity.
    if not (scores < np.inf).all():
        raise ValueError("a score of its population is NaN or infinite")


def _individuals(state: SearchState) -> list[Individual]:
    """BEST, then those of all islands."""
    return [state.best.individual, *state.population]
