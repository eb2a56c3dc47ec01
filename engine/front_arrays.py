"""A front, and what a population is compared by, as the arrays of a checkpoint."""

from collections.abc import Mapping, Sequence

import numpy as np

from engine.checked_arrays import checked_array
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


def read_aims(arrays: Mapping[str, np.ndarray], count: int) -> Aims:
    """What a population of ``count`` individuals is compared by.

    Raises:
        KeyError: an array is missing.
        ValueError: they are none of such a population.
    """
    values = checked_array(arrays, "population_values", np.float64, count, None)
    excess = checked_array(arrays, "population_excess", np.float64, count)
    if values.size == 0 or not (excess >= 0).all() or not np.isfinite(values[excess == 0]).all():
        raise ValueError("its population has values that nothing can be compared by")
    return Aims(values, excess)


def read_front(arrays: Mapping[str, np.ndarray], figures: Sequence[str], evaluations: int) -> Front:
    """The front; ``figures`` are the names of its figures.

    Raises:
        KeyError: an array is missing.
        ValueError: they do not fit each other, the population's values or the ``evaluations`` of the archive.
    """
    rows = checked_array(arrays, "front_rows", np.int64, None)
    # As many aims as the population has.
    values = checked_array(arrays, "front_values", np.float64, len(rows), arrays["population_values"].shape[1])
    if len(rows) and not 0 <= rows.min() <= rows.max() < evaluations:
        raise ValueError("its front has masks that the archive lacks")
    found = {name: arrays[f"front_figure_{name}"] for name in figures}
    checked_array(arrays, "front_figure_correct", np.int64, len(rows))
    if not all(each.shape == rows.shape and np.isfinite(each).all() for each in (*values.T, *found.values())):
        raise ValueError("its front has figures that are no number for each mask")
    return Front(rows, values, found)
