"""Widths for hardware: filters return to a mask, until every layer has a width that runtimes compute well.

ONNX Runtime computes convolutions in blocks of channels: a layer of 60 filters takes the time of 64 or more
(docs/deployment.md has a measurement).
"""

import numpy as np

from engine.errors import OptionError
from engine.layout import Layout
from experiments.runs.knowledge.knowledge import Knowledge
from experiments.runs.saved import SavedRun
from fitness.importance import IMPORTANCES, Subject

USUAL = "magnitude"
"""The importance by which filters return where the search had none."""


def check_multiple(multiple: int) -> None:
    """Refuse what is no width.

    Raises:
        OptionError: ``multiple`` is not positive.
    """
    if multiple < 1:
        raise OptionError(f"`round_to` must be 1 or more, not {multiple}.")


def widened(mask: np.ndarray, importance: np.ndarray, layout: Layout, multiple: int) -> np.ndarray:
    """The mask ``bool[f]`` with removed filters, the most important first, until all widths are allowed.

    Allowed are the multiples of ``multiple`` and the whole layer.

    Args:
        mask: ``bool[f]``.
        importance: ``float64[f]``, higher = return first; of equals the first one.
        layout: of both.
        multiple: 1 or more.
    """
    parts = []
    importances = layout.split(importance)
    for name, keep in layout.split(mask).items():
        kept = np.count_nonzero(keep)
        wanted = min(-(-kept // multiple) * multiple, len(keep))
        # Kept filters first, then the most important ones.
        order = np.lexsort((-importances[name], ~keep))
        part = np.zeros_like(keep)
        part[order[:wanted]] = True
        parts.append(part)
    return np.concatenate(parts)


def importance_of(saved: SavedRun) -> np.ndarray:
    """``float64[f]``: the first importance that the search went by, or the magnitude of filters.

    Raises:
        RunError: the importances of the run are missing or damaged.
    """
    problem = saved.problem
    known = Knowledge.read(saved.run, problem).importances
    if known:
        return next(iter(known.values()))
    images = problem.images
    return IMPORTANCES[USUAL](Subject(problem.model, problem.genome.layout, images.images, images.labels, 0))
