"""Checks of arrays and states that were read from a file.

A matching checksum finds damage but proves nothing about the content: anyone can write a checksum. All checks are
cheap beside reading the archive.
"""

import math
from collections.abc import Mapping
from dataclasses import fields

import numpy as np
from numpy.typing import DTypeLike

from engine.contracts import FAILED
from engine.layout import Layout
from engine.search.best import Best
from engine.search.individual import Individual
from engine.search.state import SearchState


def checked_array(
    arrays: Mapping[str, np.ndarray], name: str, dtype: DTypeLike, *shape: int | None
) -> np.ndarray:
    """The named array, if it has this dtype and shape; None stands for any length.

    Raises:
        KeyError: the array is missing.
        ValueError: the array has another dtype or shape.
    """
    array = arrays[name]
    fits = array.ndim == len(shape) and all(
        wanted is None or length == wanted for length, wanted in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = ", ".join("n" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} is {array.dtype}{list(array.shape)}, not {np.dtype(dtype)}[{wanted}]")
    return array


def checked_masks(arrays: Mapping[str, np.ndarray], name: str, layout: Layout, *shape: int | None) -> np.ndarray:
    """Packed masks ``uint8[*shape, ceil(f / 8)]`` whose padding bits are zero.

    Raises:
        KeyError: the array is missing.
        ValueError: the masks have another width, or a padding bit is set.
    """
    packed = checked_array(arrays, name, np.uint8, *shape, (layout.n_filters + 7) // 8)
    padding = 0xFF >> (layout.n_filters % 8 or 8)
    # A mask with a padding bit would equal no other mask, and the search would evaluate the mask again.
    if (packed[..., -1] & padding).any():
        raise ValueError(f"{name} has bits behind the last filter")
    return packed


def check_state(state: SearchState, layout: Layout, images: float = math.inf) -> None:
    """Refuse a state that no search can reach.

    Args:
        state: a state whose arrays fit the layout.
        layout: of the state's masks.
        images: number of images that every mask is evaluated on; inf if unknown.

    Raises:
        ValueError, TypeError, OverflowError: the state is impossible; the message says why.
    """
    _check_counters(state)
    _check_masks(state, layout)
    _check_counts(state, layout, images)
    _check_best(state.best, state.origins)
    for island in state.islands:
        _check_scores(island.population)
    _check_front(state)


def _check_counters(state: SearchState) -> None:
    for field in fields(state):
        value = getattr(state, field.name)
        if field.type is int and (not isinstance(value, int) or isinstance(value, bool)):
            raise TypeError(f"{field.name} is {value!r}")
    found = len(state.archive), state.archive.failures(), state.archive.stopped()
    if (state.evaluations, state.failures, state.stopped) != found:
        raise ValueError("its evaluations, failures and stopped masks are not those of its archive")
    if state.reach is not None and not (type(state.reach) is float and 0 <= state.reach <= 100):
        raise ValueError("its reach is no accuracy drop in percent")


def _check_masks(state: SearchState, layout: Layout) -> None:
    masks = np.stack([individual.mask for individual in _individuals(state)])
    if layout.empties(masks).any():
        raise ValueError("a mask removes every filter of a layer")


def _check_counts(state: SearchState, layout: Layout, images: float) -> None:
    """The archive must hold the counts of the original, BEST and the population."""
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
        if best.ancestry is not None:
            raise ValueError("BEST has an ancestry and the search records no origins")
        return
    ancestry = best.ancestry or {}
    if list(ancestry) != list(origins):
        raise ValueError("the ancestry of BEST does not fit its origins")
    if not all(type(count) is int for count in ancestry.values()):
        raise TypeError("the ancestry of BEST is no count of filters")
    if min(ancestry.values()) < 0 or sum(ancestry.values()) != (~best.individual.mask).sum():
        raise ValueError("the ancestry of BEST does not add up to the filters that it removes")


def _check_scores(population: list[Individual]) -> None:
    scores = np.array([individual.score for individual in population])
    # Failed masks score minus infinity.
    if not (scores < np.inf).all():
        raise ValueError("a score of its population is NaN or infinite")


def _check_front(state: SearchState) -> None:
    if state.front is None:
        return
    if (state.archive.counts()[state.front.rows] != state.front.figures["correct"]).any():
        raise ValueError("its front has other counts than its archive")


def _individuals(state: SearchState) -> list[Individual]:
    """BEST, then the individuals of all islands."""
    return [state.best.individual, *state.population]
