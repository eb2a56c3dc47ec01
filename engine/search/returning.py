"""Masks that return from the archive to the population, once another objective rewards them."""

import numpy as np

from engine.contracts import Objective
from engine.search.ancestry import Brood
from engine.search.archive import Archive

_AT_ONCE = 4096


def returning(
    archive: Archive, members: Brood, objective: Objective, original_correct: int, most: int, mutation: int
) -> tuple[Brood, np.ndarray]:
    """The masks of an archive that an objective scores highest, but for those of the population.

    The archive does not keep the ancestry of masks. So a mask gets that of the member from which it differs in
    the fewest bits, and those bits count as mutated.

    Args:
        archive: masks that failed or were stopped do not return.
        members: the population, one mask or more.
        objective: scores the masks.
        original_correct: see :class:`engine.search.state.SearchState`.
        most: masks that return at most.
        mutation: the origin of a mutated bit.

    Returns:
        The masks, best first and of equal ones the first evaluated, and their counts ``int64[n]``.
    """
    counts = archive.counts()
    finished = np.flatnonzero(counts >= 0)
    scores = [np.zeros(0)]
    for start in range(0, len(finished), _AT_ONCE):
        rows = finished[start : start + _AT_ONCE]
        scores.append(objective.appraise(archive.masks(rows), counts[rows], original_correct).score)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    best = finished[order[: most + len(members.masks)]]
    masks = archive.masks(best)
    # In the archive a mask is there once.
    fresh = np.flatnonzero((masks[:, None] != members.masks).any(axis=2).all(axis=1))[:most]
    nearest = np.argmin((masks[fresh, None] != members.masks).sum(axis=2), axis=1)
    return members.rows(nearest).changed(masks[fresh], mutation), counts[best[fresh]]
