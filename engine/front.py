"""The front of a search: of all that it evaluated, what nothing else surpasses."""

from dataclasses import dataclass

import moocore
import numpy as np

from engine.archive import Archive
from engine.contracts import Aims, Objective
from engine.errors import EvaluationError
from engine.layout import Layout

_AT_ONCE = 4096
"""Masks unpacked at a time; bounds the memory of a long search's archive."""


@dataclass(frozen=True, eq=False)
class Front:
    """Masks of which none is dominated by any that was evaluated, by falling first value (accuracy).

    A mask dominates another if it is nowhere worse and somewhere better. Of masks that are equal in all values
    the front has the one that was evaluated first. Masks that failed, were stopped early or are beyond the
    objective's limit are not on it and dominate nobody.

    Attributes:
        rows: ``int64[k]``, places in the archive, in order of evaluation from 0.
        values: ``float64[k, m]``, see :class:`engine.contracts.Aims`.
        figures: name -> array of length ``k``: those of the appraisal, and ``correct``, the counts.
    """

    rows: np.ndarray
    values: np.ndarray
    figures: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.rows)

    def hypervolume(self) -> float:
        """Share of the box from where values begin to be of interest (0) to 1 that the front dominates.

        The reference point is the origin of :class:`engine.contracts.Aims`, so fronts can be compared if their
        objectives and limits are the same. Values above 1 (a mask more accurate than the original) count as
        they are. Zitzler and Thiele, "Multiobjective optimization using evolutionary algorithms", PPSN V, 1998.
        """
        if len(self) == 0:
            return 0.0
        return float(moocore.hypervolume(self.values, ref=np.zeros(self.values.shape[1]), maximise=True))

    def masks(self, archive: Archive) -> np.ndarray:
        """``bool[k, f]``."""
        return archive.masks(self.rows)


def front_of(archive: Archive, layout: Layout, objective: Objective, original_correct: int) -> Front:
    """The front of everything that was evaluated.

    ``objective`` appraises with aims; see :func:`extended`.
    """
    return extended(None, archive, 0, layout, objective, original_correct)


def extended(
    front: Front | None,
    archive: Archive,
    first: int,
    layout: Layout,
    objective: Objective,
    original_correct: int,
) -> Front:
    """The front of everything, given that of what came before row ``first`` of the archive.

    Whoever was dominated then is dominated still, so only the front and what is new have to be compared.

    Raises:
        EvaluationError: the objective has no aims.
    """
    packed, correct = archive.to_arrays(first)
    parts = [] if front is None else [front]
    # Once at least: no rows, too, have figures.
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
    # The first value decides; the others make the order certain.
    kept = kept[np.lexsort((rows[kept], *(-values[kept].T[::-1])))]
    figures = {name: np.concatenate([part.figures[name] for part in parts])[kept] for name in parts[0].figures}
    return Front(rows[kept], values[kept], figures)


def non_dominated(values: np.ndarray) -> np.ndarray:
    """``bool[n]``: rows of ``float64[n, m]``, all to be maximised, that none dominates; of equals the first."""
    if len(values) == 0:
        return np.zeros(0, bool)
    return np.asarray(moocore.is_nondominated(values, maximise=True, keep_weakly=False), bool)


def _within(rows: np.ndarray, aims: Aims, figures: dict[str, np.ndarray]) -> Front:
    """Those within the limit, dominated or not."""
    within = aims.excess == 0
    return Front(rows[within], aims.values[within], {name: each[within] for name, each in figures.items()})
