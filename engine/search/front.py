"""The front of a search: the evaluated masks that no other evaluated mask dominates."""

from dataclasses import dataclass

import moocore
import numpy as np

from engine.contracts import Aims, Objective
from engine.errors import EvaluationError
from engine.layout import Layout
from engine.search.archive import Archive

_AT_ONCE = 4096
"""Masks unpacked at a time; bounds the memory of a long search's archive."""


@dataclass(frozen=True, eq=False)
class Front:
    """The non-dominated masks, in falling order of their first value (accuracy).

    A mask dominates another if it is worse in no value and better in one. Of masks with equal values the front
    holds the one evaluated first. Masks that failed, were stopped early or exceed the objective's limit are not
    on the front and dominate no mask.

    Attributes:
        rows: ``int64[k]``, rows of the archive.
        values: ``float64[k, m]``, see :class:`engine.contracts.Aims`.
        figures: name -> array of length ``k``: the figures of the appraisal, and the counts as ``correct``.
    """

    rows: np.ndarray
    values: np.ndarray
    figures: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.rows)

    def hypervolume(self) -> float:
        """The share of the unit box that the front dominates; the reference point is 0 in all values.

        Fronts can be compared if their objectives and limits are the same. Values above 1 (a mask more accurate
        than the original) are not clipped. Zitzler and Thiele, "Multiobjective optimization using evolutionary
        algorithms", PPSN V, 1998.
        """
        if len(self) == 0:
            return 0.0
        return float(moocore.hypervolume(self.values, ref=np.zeros(self.values.shape[1]), maximise=True))

    def masks(self, archive: Archive) -> np.ndarray:
        """``bool[k, f]``: the masks on the front."""
        return archive.masks(self.rows)


def front_of(archive: Archive, layout: Layout, objective: Objective, original_correct: int) -> Front:
    """The front of an archive; see :func:`extended`."""
    return extended(None, archive, 0, layout, objective, original_correct)


def extended(
    front: Front | None,
    archive: Archive,
    first: int,
    layout: Layout,
    objective: Objective,
    original_correct: int,
) -> Front:
    """The front of an archive, given the front of its rows before ``first``.

    A dominated mask stays dominated, so only the old front and the new masks are compared.

    Raises:
        EvaluationError: the objective's appraisals have no aims.
    """
    packed, correct = archive.to_arrays(first)
    parts = [] if front is None else [front]
    # At least one pass, so that an empty front has its figures.
    for start in range(0, max(1, len(packed)), _AT_ONCE):
        counts = correct[start : start + _AT_ONCE]
        counted = np.flatnonzero(counts >= 0)
        masks = layout.unpack(packed[start : start + _AT_ONCE][counted])
        appraisal = objective.appraise(masks, counts[counted], original_correct)
        if appraisal.aims is None:
            raise EvaluationError("a front needs an objective whose appraisals have aims.")
        figures = {**appraisal.figures, "correct": counts[counted]}
        parts.append(_within(first + start + counted, appraisal.aims, figures))
    rows = np.concatenate([part.rows for part in parts])
    values = np.concatenate([part.values for part in parts])
    kept = np.flatnonzero(non_dominated(values))
    # The other values break ties, so that the order is unique.
    kept = kept[np.lexsort((rows[kept], *(-values[kept].T[::-1])))]
    figures = {name: np.concatenate([part.figures[name] for part in parts])[kept] for name in parts[0].figures}
    return Front(rows[kept], values[kept], figures)


def non_dominated(values: np.ndarray) -> np.ndarray:
    """``bool[n]``: the non-dominated rows of ``float64[n, m]``, all maximised; of equal rows the first."""
    if len(values) == 0:
        return np.zeros(0, bool)
    return np.asarray(moocore.is_nondominated(values, maximise=True, keep_weakly=False), bool)


def _within(rows: np.ndarray, aims: Aims, figures: dict[str, np.ndarray]) -> Front:
    """The masks within the limit, dominated or not."""
    within = aims.excess == 0
    return Front(rows[within], aims.values[within], {name: each[within] for name, each in figures.items()})
