"""The arrays of a stage at the widths of a run, with compensation."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fitness.evaluation import programs
from fitness.evaluation.folds import Fold, Key
from fitness.evaluation.structures import structure_of
from models.arrays import stage_arrays, take_or_zero_on_host
from models.axes import Axis, Joined, groups_of, rows
from models.compensation.folding import lost_rows
from models.contract import Matching, Stage
from models.lowering.choice import target
from models.readers import Reader


class StageArrays:
    """The arrays of one stage.

    On a CPU, channels are taken by NumPy: a program for each width would take longer to compile than to run.
    Both give the same bits.

    Attributes:
        whole: path -> array on the device.
    """

    def __init__(self, stage: Stage, sizes: Mapping[str, int], matchings: Mapping[str, Matching]):
        """``sizes``: channels of each group of the network; ``matchings``: of the stage, for recalibration."""
        self.whole = stage_arrays(stage)
        self._specs = stage.specs()
        names = {name for spec in self._specs.values() for axis in spec.axes for name in groups_of(axis)}
        self._sizes = {name: sizes[name] for name in sorted(names)}
        self._matchings = matchings
        self._structure = structure_of(stage)
        self._readers = {(reader.kernel, reader.group): reader for reader in stage.readers()}
        on_host = target() == "cpu"
        self._narrow = programs.narrow_on_host if on_host else programs.narrow
        self._held = np.asarray if on_host else jnp.asarray
        self._sources = {path: self._held(array) for path, array in self.whole.items()}
        self._kernels: dict[Key, Any] = {}

    def at(
        self, indices: Mapping[str, np.ndarray], folds: Mapping[Key, Fold], call: programs.Call
    ) -> Mapping[str, Any]:
        """The arrays at some channels.

        Args:
            indices: group -> channels to keep, ``int32[width]``, filled up with the group's size; groups that are
                absent stay whole.
            folds: compensation to add to kernels and biases.
            call: runs programs.
        """
        if not (indices or folds):
            return self.whole
        axes = enumerate(self._structure.axes)
        taken = {number: self._places(axis, indices) for number, axis in axes if _cuts(axis, indices)}
        removed = {key: lost_rows(self._readers[key], folds[key].removed, self._sizes) for key in folds}
        kernels = {key: self._kernel(key) for key in folds}
        found = call(self._narrow, self._structure, self._sources, kernels, taken, removed)
        arrays = {**self.whole, **found.arrays}
        if not folds:
            return arrays
        widths = tuple((name, len(indices.get(name, range(size)))) for name, size in self._sizes.items())
        return {**arrays, **call(programs.fold, self._structure, widths, arrays, found.lost, folds)}

    def matchings_at(self, indices: Mapping[str, np.ndarray]) -> dict[str, Matching]:
        """The matchings at some channels; ``indices`` are as for :meth:`at`."""

        def narrow(path: str, part: np.ndarray) -> np.ndarray:
            (axis,) = self._specs[path].axes
            return take_or_zero_on_host(part, self._places(axis, indices), 0) if _cuts(axis, indices) else part

        found = self._matchings.items()
        return {path: jax.tree.map(partial(narrow, path), matching) for path, matching in found}

    def _places(self, axis: Axis | Joined | int, indices: Mapping[str, np.ndarray]) -> np.ndarray:
        return rows(axis, self._sizes, indices).astype(np.int32)

    def _kernel(self, key: Key) -> Any:
        """The whole kernel of a reader, its rows and outputs last."""
        if key not in self._kernels:
            reader: Reader = self._readers[key]
            self._kernels[key] = self._held(reader.layout.rows(self.whole[reader.kernel], self._sizes))
        return self._kernels[key]


def _cuts(axis: Axis | Joined | int, indices: Mapping[str, np.ndarray]) -> bool:
    return any(group in indices for group in groups_of(axis))
