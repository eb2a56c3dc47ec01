"""Masks of the archive that return to a population, and the best one within the limit."""

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
    counts, finished, scores, _ = _appraised(archive, objective, original_correct)
    order = np.argsort(-scores, kind="stable")
    best = finished[order[: most + len(members.masks)]]
    masks = archive.masks(best)
    # In the archive a mask is there once.
    fresh = np.flatnonzero(_distances(masks, members.masks).min(axis=1) > 0)[:most]
    return _descended(masks[fresh], members, mutation), counts[best[fresh]]


def best_feasible(
    archive: Archive, members: Brood, objective: Objective, original_correct: int, mutation: int
) -> tuple[Brood, np.ndarray]:
    """The best feasible mask of an archive, of equal ones the first evaluated, and its count ``int64[1]``.

    There is no mask where none is feasible. Arguments and ancestry are those of :func:`returning`.
    """
    counts, finished, scores, feasible = _appraised(archive, objective, original_correct)
    rows = np.flatnonzero(feasible)
    rows = rows[np.lexsort((rows, -counts[finished[rows]], -scores[rows]))[:1]]
    found = finished[rows]
    return _descended(archive.masks(found), members, mutation), counts[found]


def _appraised(
    archive: Archive, objective: Objective, original_correct: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All counts; the rows of masks that neither failed nor were stopped, their scores, and who is feasible."""
    counts = archive.counts()
    finished = np.flatnonzero(counts >= 0)
    scores, feasible = [np.zeros(0)], [np.zeros(0, bool)]
    for start in range(0, len(finished), _AT_ONCE):
        rows = finished[start : start + _AT_ONCE]
        appraisal = objective.appraise(archive.masks(rows), counts[rows], original_correct)
        scores.append(appraisal.score)
        feasible.append(appraisal.feasible)
    return counts, finished, np.concatenate(scores), np.concatenate(feasible)


def _descended(masks: np.ndarray, members: Brood, mutation: int) -> Brood:
    """Masks as descendants of the members that they are nearest to."""
    return members.rows(np.argmin(_distances(masks, members.masks), axis=1)).changed(masks, mutation)


def _distances(masks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """``float32[n, m]``: in how many bits each of ``bool[n, f]`` differs from each of ``bool[m, f]``."""
    # As a matrix product, so that no array has n x m x f places. float32 counts to 2^24 exactly.
    ones, of_others = masks.astype(np.float32), others.astype(np.float32)
    return ones.sum(axis=1)[:, None] + of_others.sum(axis=1) - 2 * ones @ of_others.T
