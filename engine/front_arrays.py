"""A front, and what a population is compared by, as the arrays of a checkpoint."""

from collections.abc import Mapping, Sequence

import numpy as np

from engine.contracts import Aims
from engine.front import Front
from engine.individual import Individual


def front_arrays(front: Front, population: Sequence[Individual]) -> dict[str, np.ndarray]:
    """Rows, values and figures of the front; values and excess of the population."""
    values = [individual.values for individual in population if individual.values is not None]
    return {
        "population_values": np.stack(values),
        "population_excess": np.array([individual.excess for individual in population], np.float64),
        "front_rows": front.rows,
        "front_values": front.values,
        **{f"front_figure_{name}": np.ascontiguousarray(each) for name, each in front.figures.items()},
    }


def read_aims(arrays: Mapping[str, np.ndarray]) -> Aims:
    """What the population is compared by."""
    return Aims(arrays["population_values"], arrays["population_excess"])


def read_front(arrays: Mapping[str, np.ndarray], figures: Sequence[str], evaluations: int) -> Front:
    """The front; ``figures`` are the names of its figures.

    Raises:
        KeyError: an array is missing.
        ValueError: they do not fit each other or the ``evaluations`` of the archive.
    """
    rows, values = arrays["front_rows"], arrays["front_values"]
    found = Front(rows, values, {name: arrays[f"front_figure_{name}"] for name in figures})
    if rows.ndim != 1 or values.ndim != 2 or {len(values), *map(len, found.figures.values())} != {len(rows)}:
        raise ValueError("the parts of its front do not fit each other")
    if len(rows) and not 0 <= rows.min() <= rows.max() < evaluations:
        raise ValueError("its front has masks that the archive lacks")
    return found
